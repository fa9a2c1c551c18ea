"""The scales of ratings and forms: how each is drawn, answered, and answered by simulation."""
