"""The `clicklake` command: installs, starts, follows and stops the platform; imports a stage only where needed."""
