from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


class Task(models.Model):
    title = models.CharField(_("title"), max_length=80)
    note = models.TextField(blank=True, validators=[MaxLengthValidator(500)])
    due = models.DateField(null=True, blank=True)
    urgent = models.BooleanField(default=False)
    data = models.JSONField(default=dict)
    file = models.FileField(upload_to="files", blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self):
        return self.title
