"""Where providers call: `POST /hooks/<key>/`."""
