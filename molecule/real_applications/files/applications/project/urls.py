# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's pages."""

from django.contrib import admin
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def whoami(request):
    """Answer with the user's name."""
    return HttpResponse(request.user.username)


@csrf_exempt
def upload(request):
    """Keep what was sent and answer with its address."""
    return HttpResponse(default_storage.url(default_storage.save("upload", ContentFile(request.body))))


urlpatterns = [path("", whoami), path("upload", upload), path("admin/", admin.site.urls)]
