from django.contrib.syndication.views import Feed

from .models import Task


class TaskFeed(Feed):
    title = "Tasks"
    link = "/"

    def items(self):
        return Task.objects.all()

    def item_link(self, item):
        return f"/task/{item.pk}/"
