"""`sync_run`, and the body that asks for one."""

from rest_framework_json_api import serializers

from calendars.models import AccountRun, SyncRun
from tenancy.serializers import UTCDateTimeField


class SyncRequestSerializer(serializers.Serializer):
    """How to sync. sync_from and sync_to are read and narrow nothing: the mirror always covers everything."""

    force_refresh = serializers.BooleanField(
        default=False, help_text="Read everything again instead of the changes since last time."
    )
    sync_from = UTCDateTimeField(required=False, allow_null=True)
    sync_to = UTCDateTimeField(required=False, allow_null=True)


def sentences(run: SyncRun) -> list[str]:
    """What went wrong in the run (loaded by `shown`), one sentence an account, naming it."""
    failed: list[AccountRun] = getattr(run, "failed_shown", [])
    return [
        f"{part.account.email} ({part.account.provider}): {part.error}" if part.account else part.error
        for part in failed
    ]


class SyncRunSerializer(serializers.ModelSerializer):
    """A run and its sums over accounts."""

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    user_unique_id = serializers.SerializerMethodField(help_text="Whose accounts; null: the whole company's.")
    accounts_done = serializers.IntegerField(read_only=True)
    events_created = serializers.IntegerField(read_only=True)
    events_updated = serializers.IntegerField(read_only=True)
    events_deleted = serializers.IntegerField(read_only=True)
    events_withheld = serializers.IntegerField(read_only=True)
    errors = serializers.SerializerMethodField(method_name="get_error_sentences")
    started_at = UTCDateTimeField(read_only=True)
    finished_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = SyncRun
        fields = (
            "id",
            "unique_id",
            "user_unique_id",
            "status",
            "force_refresh",
            "accounts_count",
            "accounts_done",
            "events_created",
            "events_updated",
            "events_deleted",
            "events_withheld",
            "errors",
            "started_at",
            "finished_at",
        )
        read_only_fields = ("status", "force_refresh", "accounts_count")

    def get_user_unique_id(self, run: SyncRun) -> str | None:
        return run.user.unique_id if run.user else None

    def get_error_sentences(self, run: SyncRun) -> list[str]:
        return sentences(run)
