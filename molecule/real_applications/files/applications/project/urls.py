# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's pages."""

import time

from django.contrib import admin
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from project import jobs


def whoami(request):
    """Answer with the user's name."""
    return HttpResponse(request.user.username)


@csrf_exempt
def upload(request):
    """Keep what was sent and answer with its address."""
    return HttpResponse(default_storage.url(default_storage.save("upload", ContentFile(request.body))))


def work(request):
    """Answer with what the workers return."""
    seconds = int(request.GET.get("seconds", 0))
    pending = jobs.celery.send_task("work", [request.user.username, seconds])
    job = jobs.queue.enqueue(jobs.work, request.user.username, seconds)
    deadline = time.monotonic() + 40
    while job.get_status() != "finished" and time.monotonic() < deadline:
        time.sleep(0.1)
    return JsonResponse({"celery": pending.get(timeout=40), "rq": job.return_value()})


urlpatterns = [path("", whoami), path("upload", upload), path("work", work), path("admin/", admin.site.urls)]
