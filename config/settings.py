"""All settings, grouped. Values come from the environment through `config/env.py` and nowhere else."""

from datetime import timedelta
from secrets import token_urlsafe

from config import env

env.adopt_demo_file()
BASE_DIR = env.BASE_DIR

# Core ------------------------------------------------------------------------------------------------------------
SECRET_KEY = env.required("SECRET_KEY", "A long random text, the same on every machine.", token_urlsafe(50))
FIELD_ENCRYPTION_KEYS = env.fernet_keys("FIELD_ENCRYPTION_KEYS")
DEBUG = env.flag("DEBUG")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS")
# Where the service is reached from outside: feed links, OAuth redirects, push addresses.
PUBLIC_URL = env.url("PUBLIC_URL", "http://localhost:8000")
SERVED_OVER_HTTPS = PUBLIC_URL.startswith("https://")

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tenancy",
    "busyblocks",
    "calendars",
    "icsfeeds",
    "integrations",
    "config",
]
MIDDLEWARE = [
    "config.observability.RequestLogMiddleware",
    "config.page_headers.PageHeaders",
    "config.jsonapi.middleware.DocumentsOnly",
    "django.middleware.security.SecurityMiddleware",
    "icsfeeds.middleware.FeedsShortWay",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "tenancy.audit.Actors",
    "tenancy.signin.KnownBrowsers",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
# Where people read HTML. Everywhere else failures are JSON documents, and a trailing slash means nothing.
HTML_PATHS = ["/admin", "/static", "/oauth", "/connect", "/subscribe"]
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenancy.Staff"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenancy.oidc.context",
            ]
        },
    }
]

# Time: stored in UTC, read in each row's own zone -------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
# Of the pages that people without a login see: their browser says which.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]

# Database ----------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.database()}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE takes the write lock at BEGIN: with DEFERRED, half of the concurrent writers failed as "locked".
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.integer("DATABASE_CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5

# Redis: a doorbell for the workers and a cache, never a store ---------------------------------------------------------
REDIS_URL = env.url("REDIS_URL", schemes=("redis", "rediss", "unix"))
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "config.cache.RedisCache",
            "LOCATION": REDIS_URL,
            # Nothing that is asked of the cache is worth a wait: every reader can do without.
            "OPTIONS": {"socket_timeout": 1},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Celery ------------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://localhost"
# Without a broker, one process does everything: a task runs where it is enqueued.
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A request must not hang on a dead broker: the row is stored, the sweep finds it.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
}
CELERY_TASK_DEFAULT_QUEUE = "poll"
CELERY_TASK_ROUTES = {"integrations.tasks.handle_delivery": {"queue": "webhooks"}}
CELERY_BEAT_SCHEDULE = {
    "poll-due-accounts": {"task": "calendars.tasks.poll_due_accounts", "schedule": timedelta(seconds=15)},
    "sweep-unfinished-runs": {"task": "calendars.tasks.sweep_unfinished_runs", "schedule": timedelta(seconds=15)},
    "prepare-series": {"task": "busyblocks.tasks.prepare_due", "schedule": timedelta(seconds=30)},
    "sweep-occurrences": {"task": "busyblocks.tasks.sweep_occurrences", "schedule": timedelta(hours=1)},
    "tend-push-channels": {"task": "calendars.tasks.tend_push_channels", "schedule": timedelta(seconds=60)},
    "sweep-push-messages": {"task": "calendars.tasks.sweep_push_messages", "schedule": timedelta(seconds=15)},
    "mend-stamps": {"task": "calendars.tasks.mend_stamps", "schedule": timedelta(seconds=60)},
    "sweep-farewells": {"task": "calendars.tasks.sweep_farewells", "schedule": timedelta(seconds=60)},
    "sweep-unhandled-deliveries": {
        "task": "integrations.tasks.sweep_unhandled_deliveries",
        "schedule": timedelta(seconds=30),
    },
    "match-waiting-bookings": {"task": "calendars.tasks.match_waiting_bookings", "schedule": timedelta(seconds=60)},
    "clear-old-sync-hours": {"task": "calendars.tasks.clear_old_hours", "schedule": timedelta(hours=1)},
    "clear-old-runs": {"task": "calendars.tasks.clear_old_runs", "schedule": timedelta(hours=1)},
    "clear-old-read-hours": {"task": "icsfeeds.tasks.clear_old_hours", "schedule": timedelta(hours=1)},
    "clear-old-sessions": {"task": "tenancy.tasks.clear_old_sessions", "schedule": timedelta(hours=1)},
    "clear-old-audit-entries": {"task": "tenancy.tasks.clear_old_audit_entries", "schedule": timedelta(hours=1)},
    "clear-old-deliveries": {"task": "integrations.tasks.clear_old_deliveries", "schedule": timedelta(hours=1)},
    "reconcile-calcom": {"task": "integrations.tasks.reconcile_calcom", "schedule": timedelta(minutes=10)},
}

# The API -----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenancy.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenancy.permissions.MayReachUser"],
    "DEFAULT_THROTTLE_CLASSES": ["tenancy.throttles.PerCaller"],
    "DEFAULT_PARSER_CLASSES": [
        "config.jsonapi.parsers.JSONBodyParser",
        "config.jsonapi.parsers.JSONAPIBodyParser",
    ],
    # The first answers `Accept: */*`.
    "DEFAULT_RENDERER_CLASSES": [
        "config.jsonapi.renderers.PlainJSONRenderer",
        "config.jsonapi.renderers.JSONAPIRenderer",
    ],
    "DEFAULT_METADATA_CLASS": "config.jsonapi.metadata.Methods",
    "DEFAULT_PAGINATION_CLASS": "config.jsonapi.pagination.PageNumbers",
    "DEFAULT_SCHEMA_CLASS": "config.openapi.DocumentSchema",
    "EXCEPTION_HANDLER": "config.jsonapi.exceptions.answer",
    "DEFAULT_FILTER_BACKENDS": [],
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
JSON_API_FORMAT_FIELD_NAMES = False
JSON_API_FORMAT_TYPES = False
JSON_API_UNIFORM_EXCEPTIONS = False
DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer("MAX_BODY_BYTES", 1024 * 1024, least=1024)
API_PAGE_SIZE = 15
API_PAGE_SIZE_LIMIT = 100
# How often one bearer token may ask; 0: without a limit.
API_REQUESTS_PER_MINUTE = env.integer("API_REQUESTS_PER_MINUTE", 6000)
# Longest span of one free/busy question.
FREE_BUSY_MAX_DAYS = env.integer("FREE_BUSY_MAX_DAYS", 366, least=1, most=36_500)
# How many users one question about free/busy or availability may name.
FREE_BUSY_MAX_USERS = env.integer("FREE_BUSY_MAX_USERS", 100, least=1)
# The instances of series are kept prepared from so many days ago to so many ahead; beyond, each question expands them.
PREPARED_PAST_DAYS = env.integer("PREPARED_PAST_DAYS", 100, most=3_650)
PREPARED_DAYS = env.integer("PREPARED_DAYS", 430, least=60, most=3_650)

# Who is asking -----------------------------------------------------------------------------------------------------
# `iss` of the tokens that `manage.py issue_token` makes; a company's own issuer is configured on the company.
TOKEN_ISSUER = env.text("TOKEN_ISSUER", "crm-calendar")
# Fetches a company's key set; its address is checked like every other that people give.
KEY_SET_FETCHER = "integrations.keysets.fetch"

# Calendars: the vendors, and the pace of the mirror ------------------------------------------------------------------
CALENDAR_PROVIDERS = {
    "apple": "integrations.caldav.provider.AppleProvider",
    "caldav": "integrations.caldav.provider.CalDAVProvider",
    "google": "integrations.google.provider.GoogleProvider",
    "ics": "integrations.ics.provider.IcsProvider",
    "outlook": "integrations.outlook.provider.OutlookProvider",
}
# The vendors' authorization servers, and this service's registration with each of them: without a client id and secret
# accounts of that vendor can be created, and wait.
CALENDAR_OAUTH = {
    "google": "integrations.oauth.google.Google",
    "outlook": "integrations.oauth.microsoft.Microsoft",
}
OAUTH = {
    "google": {
        "authorize_url": env.url("GOOGLE_AUTHORIZE_URL", "https://accounts.google.com/o/oauth2/v2/auth"),
        "token_url": env.url("GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com/token"),
        "revoke_url": env.url("GOOGLE_REVOKE_URL", "https://oauth2.googleapis.com/revoke"),
        "client_id": env.text("GOOGLE_CLIENT_ID"),
        "client_secret": env.text("GOOGLE_CLIENT_SECRET"),
        "scopes": (
            "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
            "https://www.googleapis.com/auth/calendar.events.readonly",
        ),
    },
    "outlook": {
        "authorize_url": env.url(
            "OUTLOOK_AUTHORIZE_URL", "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
        ),
        "token_url": env.url("OUTLOOK_TOKEN_URL", "https://login.microsoftonline.com/common/oauth2/v2.0/token"),
        "client_id": env.text("OUTLOOK_CLIENT_ID"),
        "client_secret": env.text("OUTLOOK_CLIENT_SECRET"),
        "scopes": ("offline_access", "User.Read", "Calendars.Read"),
    },
}
# Pages of clients that may receive codes for this service, exactly; and hosts to which a browser may be sent back.
OAUTH_REDIRECT_URIS = env.words("OAUTH_REDIRECT_URIS")
OAUTH_RETURN_HOSTS = env.words("OAUTH_RETURN_HOSTS")
GOOGLE_API_URL = env.url("GOOGLE_API_URL", "https://www.googleapis.com/calendar/v3")
OUTLOOK_API_URL = env.url("OUTLOOK_API_URL", "https://graph.microsoft.com/v1.0")
APPLE_CALDAV_URL = env.url("APPLE_CALDAV_URL", "https://caldav.icloud.com")
# Hosts that user-given addresses may reach although they are private or loopback.
OUTBOUND_ALLOWED_HOSTS = env.words("OUTBOUND_ALLOWED_HOSTS")
OUTBOUND_TIMEOUT_SECONDS = env.integer("OUTBOUND_TIMEOUT_SECONDS", 20, least=1)
ICS_MAX_BYTES = env.integer("ICS_MAX_BYTES", 16 * 1024 * 1024, least=1024)
OUTBOUND_MAX_BYTES = env.integer("OUTBOUND_MAX_BYTES", 64 * 1024 * 1024, least=1024)
SYNC_INTERVAL = timedelta(seconds=env.integer("SYNC_INTERVAL_SECONDS", 300, least=10))
# What may be asked of each vendor: (requests, window in seconds, of each user apart), a little below what it grants.
# https://developers.google.com/workspace/calendar/api/guides/quota, https://learn.microsoft.com/graph/throttling-limits
CALENDAR_BUDGETS = {
    "google": (
        (env.integer("GOOGLE_REQUESTS_PER_USER_AND_MINUTE", 540, least=1), 60, True),
        (env.integer("GOOGLE_REQUESTS_PER_MINUTE", 9000, least=1), 60, False),
    ),
    "outlook": ((env.integer("OUTLOOK_REQUESTS_PER_MAILBOX_AND_TEN_MINUTES", 9000, least=1), 600, True),),
}
# Where vendors that tell of changes reach this service; they take https only. Where they do, polling is a safety net.
PUSH_URL = env.url("PUSH_URL", PUBLIC_URL if SERVED_OVER_HTTPS else "")
SYNC_INTERVAL_WITH_PUSH = timedelta(seconds=env.integer("SYNC_INTERVAL_WITH_PUSH_SECONDS", 1800, least=10))
# The longest that one request of a worker may take, to the last byte: some servers think long over many events.
OUTBOUND_DEADLINE_SECONDS = env.integer("OUTBOUND_DEADLINE_SECONDS", 120, least=1)
# How long a dead worker keeps an account from the others; a living one renews its lease all the time.
SYNC_LEASE = timedelta(seconds=env.integer("SYNC_LEASE_SECONDS", 30, least=1))
DISCOVERY_MAX_AGE = timedelta(minutes=15)
# The span that is mirrored, from calendars that can only be read in spans, reckoned from today.
SYNC_WINDOW_PAST_DAYS = env.integer("SYNC_WINDOW_PAST_DAYS", 90, most=36_500)
SYNC_WINDOW_FUTURE_DAYS = env.integer("SYNC_WINDOW_FUTURE_DAYS", 400, least=1, most=36_500)
# The brake: deletions that a full read only implies are held back when they are many (see docs/adr).
BRAKE_MIN_ROWS = env.integer("BRAKE_MIN_ROWS", 20)
BRAKE_SHARE_PERCENT = env.integer("BRAKE_SHARE_PERCENT", 25, least=1, most=100)
BRAKE_CONFIRM_AFTER = timedelta(minutes=10)

# Cal.com -----------------------------------------------------------------------------------------------------------
CALCOM_API_URL = env.url("CALCOM_API_URL", "https://api.cal.com")
# How far back the nightly reading looks for bookings whose webhooks were missed.
CALCOM_RECONCILE_PAST_DAYS = env.integer("CALCOM_RECONCILE_PAST_DAYS", 30)
# How long deliveries are kept after they were handled, ignored or given up; 0: for ever.
CALCOM_DELIVERIES_KEEP_DAYS = env.integer("CALCOM_DELIVERIES_KEEP_DAYS", 90)

# Feeds -------------------------------------------------------------------------------------------------------------
FEED_PRODID = env.text("FEED_PRODID", "-//23blocks//CRM//EN")
FEED_MAX_AGE_SECONDS = env.integer("FEED_MAX_AGE_SECONDS", 300)

# Security ----------------------------------------------------------------------------------------------------------
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "tenancy.signin.NewPasswords", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# How long the audit log is kept; 0: for ever.
AUDIT_KEEP_DAYS = env.integer("AUDIT_KEEP_DAYS", 730)
# The same of finished sync runs.
RUNS_KEEP_DAYS = env.integer("RUNS_KEEP_DAYS", 90)
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "tenancy.oidc.StaffBackend"]
# Signing in with the company's own account (OpenID Connect): off while there is no issuer.
OIDC_ISSUER = env.url("OIDC_ISSUER")
OIDC_RP_CLIENT_ID = env.text("OIDC_CLIENT_ID")
OIDC_RP_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET")
OIDC_OP_AUTHORIZATION_ENDPOINT = env.url("OIDC_AUTHORIZE_URL")
OIDC_OP_TOKEN_ENDPOINT = env.url("OIDC_TOKEN_URL")
OIDC_OP_USER_ENDPOINT = env.url("OIDC_USERINFO_URL")
OIDC_OP_JWKS_ENDPOINT = env.url("OIDC_JWKS_URL")
# The claim that says who it is: a verified e-mail, or one that holds their user name here.
OIDC_CLAIM = env.text("OIDC_CLAIM", "email")
OIDC_RP_SCOPES = env.text("OIDC_SCOPES", "openid email profile")
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_USE_PKCE, OIDC_CREATE_USER = True, False
OIDC_TIMEOUT = OUTBOUND_TIMEOUT_SECONDS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SERVED_OVER_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
# Lax: whoever comes back from the sign-in of the company, or by a link in a mail, is still known.
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if SERVED_OVER_HTTPS:
    # Browsers take these names from this very host only, over TLS, for all paths: no neighbour can plant one.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
# So long after signing in, staff sign in again, whatever they did meanwhile.
SESSION_COOKIE_AGE = env.integer("SESSION_HOURS", 12, least=1, most=24 * 365) * 3600
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# The proxy in front ends TLS: it must set (and clear) this header itself.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_TLS_PROXY") else None
SECURE_SSL_REDIRECT = SERVED_OVER_HTTPS and env.flag("SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_HSTS_SECONDS = 31_536_000 if SERVED_OVER_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SERVED_OVER_HTTPS

# Static files --------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT") or None
STATICFILES_DIRS = [BASE_DIR / "static"]
# Serves each app's own files without a collectstatic step; responses carry validators.
WHITENOISE_USE_FINDERS = True

# Logs ----------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_AS_JSON = env.flag("LOG_AS_JSON", True)
LOGGING_CONFIG = "config.observability.configure_logging"
LOGGING = {"level": LOG_LEVEL, "as_json": LOG_AS_JSON}

# OpenAPI -------------------------------------------------------------------------------------------------------------
SPECTACULAR_SETTINGS = {
    "TITLE": "CRM Calendar Sync API",
    "DESCRIPTION": "Calendar accounts, busy time, meetings and ICS feeds of a company's CRM users.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": PUBLIC_URL}],
    # What goes in and what comes out are two shapes.
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["config.openapi_paths.add_plain"],
    "PATH_CONVERTER_OVERRIDES": {"user": {"type": "string", "maxLength": 255}},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Admin ---------------------------------------------------------------------------------------------------------------
# Times are written with their zone.
FORMAT_MODULE_PATH = "config.formats"
UNFOLD = {
    "SITE_TITLE": "Calendar sync",
    "SITE_HEADER": "Calendar sync",
    "SITE_SYMBOL": "event_repeat",
    # The service's own first page is not for people.
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    # Else browsers ask for /favicon.ico.
    "SITE_FAVICONS": [{"rel": "icon", "href": "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"}],
    "STYLES": [STATIC_URL + "ours/admin.css", STATIC_URL + "ours/board.css"],
    "SCRIPTS": [STATIC_URL + "ours/admin.js"],
    # They stand in ours/admin.css: Unfold would write them into each page, where a style may not be.
    "COLORS": "config.admin.no_colors_in_pages",
    "LOGIN": {"form": "tenancy.login.SignInForm"},
    "SIDEBAR": {"show_search": True, "navigation": "config.admin.navigation"},
    "DASHBOARD_CALLBACK": "config.dashboard.index",
}
