from django.core.management.base import BaseCommand

from tasks.models import Task


class Command(BaseCommand):
    help = "Deletes the tasks that are over"

    def handle(self, *args, **options):
        count, _ = Task.objects.filter(due__year__lt=2000).delete()
        self.stdout.write(self.style.SUCCESS(f"deleted {count}"))
