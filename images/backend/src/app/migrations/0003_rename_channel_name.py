"""Only in the release that breaks the one before: a column that it reads is renamed in one step."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("app", "0002_video_thumbnail"),)

    operations = (
        migrations.AlterField(
            "channel", "name", models.CharField(max_length=100, unique=True, db_column="title")
        ),
    )
