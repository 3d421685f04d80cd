# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a Django site whose users httpd authenticates."""

import os
from pathlib import Path

STATE = Path("/var/lib/django")

SECRET_KEY = Path(os.environ["CREDENTIALS_DIRECTORY"], "secret_key").read_text()
ALLOWED_HOSTS = os.environ["DJANGO_HOSTS"].split()
ADMINISTRATORS = os.environ["DJANGO_ADMINISTRATORS"].split()
ROOT_URLCONF = "project.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE / "database.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.RemoteUserMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
AUTHENTICATION_BACKENDS = ["project.people.People"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
# In full: without a request, collectstatic would not know the prefix.
STATIC_URL = "/django/public/static/"
STATIC_ROOT = "/srv/django/public/static"
MEDIA_URL = "/django/public/media/"
MEDIA_ROOT = "/srv/django/public/media"
# The service's umask and the group of the directory let httpd read.
FILE_UPLOAD_PERMISSIONS = None
