"""How this project calls apt-get: quietly, and waiting for other runs of apt on the machine."""

COMMAND = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600")
