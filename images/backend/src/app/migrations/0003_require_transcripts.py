"""Only in the release with the failing migration: its author forgot to add the column first."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("app", "0002_video_thumbnail"),)

    operations = (
        migrations.RunSQL(
            "ALTER TABLE videos ALTER COLUMN transcript SET NOT NULL",
            reverse_sql="ALTER TABLE videos ALTER COLUMN transcript DROP NOT NULL",
        ),
    )
