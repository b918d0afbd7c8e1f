from django.contrib import admin

from .models import Task


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):
    list_display = ["title", "due", "urgent"]
    list_filter = ["urgent", "due"]
    search_fields = ["title"]
    date_hierarchy = "due"
