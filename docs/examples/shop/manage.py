"""A shop whose customers watch their orders: change one in the admin, and the page of its customer follows.

Start Redis. Load the settings of docs/guide.md in each terminal: `set -a; . ~/live/.env; set +a`. Then:

    relay serve

    python manage.py migrate --run-syncdb
    python manage.py createsuperuser
    gunicorn shop.wsgi --workers 2 --preload --bind localhost:8080    # or: python manage.py runserver 8080
"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
