"""Behind TLS, on servers of your own: PostgreSQL, Redis and the secrets come from the environment."""

from django.core.exceptions import ImproperlyConfigured

from .base import *  # noqa: F403  settings are one namespace by Django's design
from .base import env

for _name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FERNET_KEYS", "ALLOWED_HOSTS"):
    if not env.read.str(_name, default=""):
        raise ImproperlyConfigured(f"{_name} must be set in production (docs/configuration.md).")

SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_SSL_REDIRECT = env.read.bool("SECURE_SSL_REDIRECT", default=True)
REANNA_HOOKS_REQUIRE_TLS = env.read.bool("REANNA_HOOKS_REQUIRE_TLS", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
CSRF_TRUSTED_ORIGINS = env.read.list("CSRF_TRUSTED_ORIGINS", default=[])
STATIC_ROOT = BASE_DIR / "staticfiles"  # noqa: F405  from base
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = False
