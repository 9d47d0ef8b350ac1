# One image for every process; docker-compose.yml says which command each runs.
FROM python:3.11-slim-bookworm AS packages
WORKDIR /app
# Only what the install reads, so that a change of code does not repeat it.
COPY manage.py ./
COPY reanna/bootstrap.py reanna/
COPY requirements/ requirements/
RUN PIP_NO_CACHE_DIR=1 python manage.py bootstrap

FROM python:3.11-slim-bookworm
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=reanna.settings.production
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin reanna
WORKDIR /app
COPY --from=packages /app/.venv .venv/
COPY . .
# The settings want every variable; none of these values is kept in the image or used when it runs.
RUN DATABASE_URL=postgres://build/build REDIS_URL=redis://build SECRET_KEY=build FERNET_KEYS=build \
    ALLOWED_HOSTS=build python manage.py collectstatic --no-input
RUN install -d -o reanna -m 0700 var/imports
USER reanna
EXPOSE 8000
CMD ["python", "manage.py", "web", "--host", "0.0.0.0"]
