from django.db.models.signals import post_save
from django.dispatch import receiver

from .models import Task


@receiver(post_save, sender=Task)
def tell(sender, instance, created, **kwargs):
    if created and instance.urgent:
        from django.core.mail import send_mail

        send_mail("urgent", str(instance), "tasks@localhost", ["me@localhost"])
