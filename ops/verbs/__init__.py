"""The verbs of `ytops`, one file each; files with an underscore are what several verbs share."""
