import csv
import json

from django.core.cache import cache
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from .forms import TaskForm
from .models import Task


def index(request):
    return render(request, "tasks/index.html", {"count": Task.objects.count()})


@csrf_exempt
def api(request):
    if request.method == "POST":
        values = json.loads(request.body)
        task = Task.objects.create(**values)
        return JsonResponse({"id": task.pk, "title": task.title}, status=201)
    page = Paginator(Task.objects.all(), 10).get_page(request.GET.get("page"))
    return JsonResponse({"tasks": [task.title for task in page]})


def detail(request, pk):
    return render(request, "tasks/detail.html", {"task": get_object_or_404(Task, pk=pk)})


@csrf_exempt
def form(request):
    filled = TaskForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and filled.is_valid():
        return redirect("detail", pk=filled.save().pk)
    return render(request, "tasks/form.html", {"form": filled})


def export(request):
    response = HttpResponse(content_type="text/csv")
    writer = csv.writer(response)
    for task in Task.objects.all():
        writer.writerow([task.title, task.due])
    return response


def feed(request):
    from .feeds import TaskFeed

    return TaskFeed()(request)


def clock(request):
    import datetime
    import zoneinfo

    moment = datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.timezone.utc)
    with timezone.override(zoneinfo.ZoneInfo(request.GET.get("zone", "UTC"))):
        return HttpResponse(timezone.localtime(moment).strftime("%Z %z"))


def counted(request):
    return HttpResponse(cache.get_or_set("counted", lambda: Task.objects.count(), 60))


def crash(request):
    raise RuntimeError("this page is broken")
