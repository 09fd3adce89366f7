"""Lines of a benchmark's report."""


def say(name: str, text: str) -> None:
    print(f"{name:<28} {text}", flush=True)
