"""What every environment shares. Ours are described in docs/configuration.md (a test holds them together)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from csp import constants as csp

from reanna import env, look

BASE_DIR = env.BASE_DIR
DATA_DIR = env.data_dir()

SECRET_KEY = env.secret("SECRET_KEY")
FERNET_KEYS = [key for key in env.secret("FERNET_KEYS").split(",") if key]
DEBUG = False
ALLOWED_HOSTS = env.read.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the look without its own site: ours is below
    "unfold.contrib.filters",
    "reanna.admin_site.RouterAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_celery_beat",
    "import_export",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "integrations",
    "monitoring",
    "alerts",
    "reanna",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it answers for a refused sign-in
]

UNFOLD = look.UNFOLD

ROOT_URLCONF = "reanna.urls"
WSGI_APPLICATION = "reanna.wsgi.application"

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
            ]
        },
    }
]

# SQLite: WAL and IMMEDIATE, or half of the read-then-write transactions fail at once whatever the timeout.
SQLITE = {
    "ENGINE": "reanna.sqlite",
    "NAME": DATA_DIR / "reanna.sqlite3",
    "OPTIONS": {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA busy_timeout=20000;PRAGMA foreign_keys=ON;"
        ),
    },
}
if env.read.str("DATABASE_URL", default=""):
    DATABASES = {"default": env.read.db("DATABASE_URL")}
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A process that stands still in the middle of a transaction holds rows that people wait for: PostgreSQL ends it.
    # Longer than any pause of ours, shorter than a lease. And it compiles no statement (jit): ours are short, and for a
    # claim, planned for a large table, compiling took 20 of 25 ms.
    if DATABASES["default"]["ENGINE"].endswith("postgresql"):
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault(
            "options", "-c idle_in_transaction_session_timeout=30000 -c jit=off"
        )
else:
    DATABASES = {"default": SQLITE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_REDIRECT_URL = "admin:index"  # for who opens the sign-in page itself
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# Who keeps guessing waits: counted by name and address together, so that nobody else is locked out.
AXES_FAILURE_LIMIT = env.read.int("REANNA_SIGN_IN_ATTEMPTS", default=10)
AXES_COOLOFF_TIME = timedelta(seconds=env.read.int("REANNA_SIGN_IN_LOCKED_S", default=900))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "admin/locked_out.html"
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # `manage.py axes_reset_username NAME` lets someone in at once
AXES_DISABLE_ACCESS_LOG = True  # who signs in when is not ours to keep
AXES_IPWARE_META_PRECEDENCE_ORDER = ["REMOTE_ADDR"]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
# Served from where they stand; production collects them.
STATIC_ROOT: Path | None = None
WHITENOISE_USE_FINDERS = True

X_FRAME_OPTIONS = "DENY"
# Nothing from elsewhere, no inline script. Pages of the admin may evaluate: admin_site.py says why.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.SELF],
        "style-src": [csp.SELF, csp.UNSAFE_INLINE],
        "img-src": [csp.SELF, "data:"],
        "object-src": [csp.NONE],
        "base-uri": [csp.NONE],
        "form-action": [csp.SELF],
        "frame-ancestors": [csp.NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000

REDIS_URL = env.read.str("REDIS_URL", default="redis://127.0.0.1:6379/0")

# Celery is the doorbell: ids only, nothing kept, and a hung broker costs a caller at most a second.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
    "visibility_timeout": 3600,
    "retry_policy": {"timeout": 1.0},
    # A dead broker is told to the caller at once; whoever saves a tour does not wait for it to come back.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
CELERY_BROKER_CONNECTION_TIMEOUT = 1.0
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # a lost doorbell is harmless: the sweeper finds due rows itself
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

# The engine's figures (docs/configuration.md). Seconds unless the name says otherwise.
REANNA_CONNECT_TIMEOUT_S = env.read.float("REANNA_CONNECT_TIMEOUT_S", default=5.0)
REANNA_TOTAL_DEADLINE_S = env.read.float("REANNA_TOTAL_DEADLINE_S", default=20.0)
REANNA_LEASE_S = env.read.float("REANNA_LEASE_S", default=60.0)
REANNA_HEARTBEAT_S = env.read.float("REANNA_HEARTBEAT_S", default=15.0)
REANNA_SWEEP_S = env.read.float("REANNA_SWEEP_S", default=10.0)
REANNA_SETTLE_S = env.read.float("REANNA_SETTLE_S", default=5.0)
REANNA_PROBE_S = env.read.float("REANNA_PROBE_S", default=900.0)
REANNA_UNMAPPED_S = env.read.float("REANNA_UNMAPPED_S", default=3600.0)
REANNA_MAX_ATTEMPTS = env.read.int("REANNA_MAX_ATTEMPTS", default=5)
REANNA_BACKOFF_BASE_S = env.read.float("REANNA_BACKOFF_BASE_S", default=2.0)
REANNA_BACKOFF_CAP_S = env.read.float("REANNA_BACKOFF_CAP_S", default=300.0)
REANNA_WORKER_THREADS = env.read.int("REANNA_WORKER_THREADS", default=8)
REANNA_UNDO_S = env.read.int("REANNA_UNDO_S", default=10)
REANNA_COMPLETE_TOURS_AFTER_S = env.read.int("REANNA_COMPLETE_TOURS_AFTER_S", default=7200)
REANNA_KEEP_OPERATIONS_DAYS = env.read.int("REANNA_KEEP_OPERATIONS_DAYS", default=90)
# What came from outside must not run as a formula in somebody's spreadsheet.
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
REANNA_IMPORT_AT_ONCE_ROWS = env.read.int("REANNA_IMPORT_AT_ONCE_ROWS", default=500)
REANNA_IMPORT_MAX_MB = env.read.int("REANNA_IMPORT_MAX_MB", default=100)
REANNA_KEEP_ATTEMPTS_DAYS = env.read.int("REANNA_KEEP_ATTEMPTS_DAYS", default=30)
REANNA_BASE_URLS = {
    "followupboss": env.read.str("REANNA_BASE_URL_FOLLOWUPBOSS", default="https://api.followupboss.com/v1"),
    "gohighlevel": env.read.str("REANNA_BASE_URL_GOHIGHLEVEL", default="https://services.leadconnectorhq.com"),
    # Where people let an app into their account: pages, on other hosts than the APIs.
    "gohighlevel_consent": env.read.str(
        "REANNA_BASE_URL_GOHIGHLEVEL_CONSENT", default="https://marketplace.gohighlevel.com"
    ),
    "hubspot_consent": env.read.str("REANNA_BASE_URL_HUBSPOT_CONSENT", default="https://app.hubspot.com"),
    "hubspot": env.read.str("REANNA_BASE_URL_HUBSPOT", default="https://api.hubapi.com"),
    "lofty": env.read.str("REANNA_BASE_URL_LOFTY", default="https://api.lofty.com"),
    # Where Lofty renews tokens: another host.
    "lofty_sign_in": env.read.str("REANNA_BASE_URL_LOFTY_SIGN_IN", default="https://crm.lofty.com/api/user-web"),
    "rollout": env.read.str("REANNA_BASE_URL_ROLLOUT", default="https://crm.universal.rollout.com/api"),
    # Rollout's list of connected accounts is on another host than the accounts themselves.
    "rollout_credentials": env.read.str(
        "REANNA_BASE_URL_ROLLOUT_CREDENTIALS", default="https://universal.rollout.com/api"
    ),
}
REANNA_API_READS_PER_MIN = env.read.int("REANNA_API_READS_PER_MIN", default=600)
REANNA_API_WRITES_PER_MIN = env.read.int("REANNA_API_WRITES_PER_MIN", default=240)
# Webhooks in. The public address, where a proxy shows us another; how many proxies of ours stand before us.
REANNA_PUBLIC_URL = env.read.str("REANNA_PUBLIC_URL", default="")
REANNA_TRUSTED_PROXIES = env.read.int("REANNA_TRUSTED_PROXIES", default=0)
REANNA_HOOKS_REQUIRE_TLS = False  # production demands it
REANNA_SANDBOX_URL = env.read.str("REANNA_SANDBOX_URL", default="")

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "integrations.api.schema.ApiSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "REanna Router",
    "DESCRIPTION": "Tours and feedback in, and what became of them in every CRM. docs/api.md tells how to begin.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",  # from this machine: the pages load nothing from elsewhere
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "TourStatus": "integrations.models.TourStatus",
        "AppointmentStatus": "integrations.models.AppointmentStatus",
        "Outcome": "integrations.models.Outcome",
        "OperationState": "integrations.models.State",
        "ConnectionState": "integrations.models.ConnectionState",
        "OperationAction": "integrations.operations.wording.ACTIONS",
        "SyncState": "integrations.operations.sync_state.TONES",
        "MergePick": "integrations.operations.merge_plan.PICKS",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # httpx logs whole URLs at INFO: query strings hold e-mail addresses.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        # A line for each doorbell says nothing that the operations do not.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
