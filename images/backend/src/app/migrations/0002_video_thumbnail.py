"""Expands: the column is nullable, so that 1.0.0 works on with it and without knowing it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("app", "0001_initial"),)

    operations = (migrations.AddField("video", "thumbnail_url", models.URLField(null=True)),)
