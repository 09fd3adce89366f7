"""Speed, measured: `make bench`. Every figure is a median, and stands beside a yardstick of the same run."""
