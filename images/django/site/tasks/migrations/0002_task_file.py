from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0001_initial")]
    operations = [
        migrations.AddField(model_name="task", name="file", field=models.FileField(blank=True, upload_to="files")),
    ]
