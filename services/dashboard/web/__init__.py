"""What a browser or a radio meets: the page, the API, the live stream. All of it runs in the event loop's thread."""
