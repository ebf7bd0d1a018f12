"""System properties."""


class Properties:
    """What ``getprop`` tells; ``set`` is what ``setprop`` does."""

    def __init__(self, serialno: str, model: str, product: str) -> None:
        self._until_reboot: dict[str, str | None] = {}
        self._values = {
            "ro.build.id": "UD1A.231105.004",
            "ro.build.version.release": "14",
            "ro.build.version.sdk": "34",
            "ro.build.version.security_patch": "2023-11-05",
            "ro.build.type": "user",
            "ro.build.fingerprint": f"google/{product}/{product}:14/UD1A.231105.004/11010374:user/release-keys",
            "ro.product.model": model,
            "ro.product.brand": "google",
            "ro.product.manufacturer": "Google",
            "ro.product.name": product,
            "ro.product.device": product,
            "ro.product.board": product,
            "ro.product.cpu.abi": "arm64-v8a",
            "ro.product.cpu.abilist": "arm64-v8a",
            "ro.product.locale": "en-US",
            "ro.hardware": product,
            "ro.serialno": serialno,
            "ro.boot.serialno": serialno,
            "ro.debuggable": "0",
            "ro.secure": "1",
            "ro.sf.lcd_density": "420",
            "persist.sys.timezone": "UTC",
            "persist.sys.locale": "en-US",
            "sys.usb.config": "adb",
            "init.svc.adbd": "running",
            "dalvik.vm.heapsize": "512m",
            "gsm.sim.state": "ABSENT",
        }

    def get(self, name: str, *, booted: bool) -> str:
        """Value of a property; empty when there is none."""
        return self.all(booted=booted).get(name, "")

    def set(self, name: str, value: str) -> None:
        """Set a property. Raises ``ValueError`` for one that only the system may set."""
        if name.startswith("ro."):
            raise ValueError(f"Failed to set property '{name}' to '{value}'.")
        if not name.startswith("persist."):
            self._until_reboot.setdefault(name, self._values.get(name))
        self._values[name] = value

    def reboot(self) -> None:
        """What was set is forgotten, but for ``persist.*``."""
        before, self._until_reboot = self._until_reboot, {}
        for name, value in before.items():
            if value is None:
                self._values.pop(name, None)
            else:
                self._values[name] = value

    def become(self, release: str, sdk: int) -> None:
        """Be of another Android version."""
        self._values |= {"ro.build.version.release": release, "ro.build.version.sdk": str(sdk)}

    def all(self, *, booted: bool) -> dict[str, str]:
        """All properties, sorted by name."""
        boot = {"sys.boot_completed": "1", "dev.bootcomplete": "1", "init.svc.bootanim": "stopped"} if booted else {}
        return dict(sorted((self._values | boot).items()))
