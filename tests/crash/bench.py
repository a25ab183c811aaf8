"""Where stores are made, copied and looked at."""
import os
import shutil
import subprocess
import tempfile


class Wrong(Exception):
    """Something that must not be."""


# What a sanitizer says, whatever exit status it gives.
FAULTS = (b"Sanitizer", b": runtime error: ")


class Run:
    """One run of a program."""

    def __init__(self, done):
        if any(fault in done.stderr for fault in FAULTS):
            raise Wrong(done.stderr.decode(errors="replace"))
        self.status = done.returncode
        self.said = (done.stdout + done.stderr).decode(errors="replace")
        self.out = done.stdout
        self.talk = done.stderr


class Place:
    """A state directory, and the store that is looked after with it: the
    embedded one, or an image layout of others."""

    def __init__(self, top, is_layout):
        self.top, self.is_layout = top, is_layout
        self.store = os.path.join(top, "layout" if is_layout else "store")
        self.oci = "" if is_layout else "oci/"
        self.trash = ".ullage-trash" if is_layout else "trash"
        self.aside = ".ullage-trash/damaged" if is_layout else "damaged"

    def path(self, *parts):
        """A path in the store."""
        return os.path.join(self.store, *parts)

    def index(self):
        """The path of index.json."""
        return self.path(self.oci + "index.json")

    def options(self):
        """What every command is given."""
        store = ["--store", "oci:" + self.store] if self.is_layout else []
        return ["--state", self.top, *store]

    def is_there(self):
        """Whether there is a store: its making may have been stopped."""
        return self.is_layout or os.path.exists(self.path("store-id"))


class Bench:
    """The programs, and a folder of their own."""

    def __init__(self, binaries, samples):
        memory = "/dev/shm"
        self.work = tempfile.mkdtemp(
            dir=memory if os.access(memory, os.W_OK) else None)
        self.program = os.path.join(os.path.abspath(binaries), "ullage")
        self.made = {}
        self.places = {False: Place(os.path.join(self.work, "state"), False),
                       True: Place(os.path.join(self.work, "others"), True)}
        os.makedirs(self.places[True].store)
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("ULLAGE", "XDG"))}
        self.env["ASAN_OPTIONS"] = "detect_leaks=0"
        subprocess.run(["tar", "--zstd", "-xf", os.path.abspath(samples)],
                       cwd=self.work, check=True)

    def close(self):
        """Nothing is left behind."""
        shutil.rmtree(self.work)

    def run(self, place, *args, step="", trace=""):
        """A command, stopped or failed as `step` says."""
        env = dict(self.env)
        if step:
            env["ULLAGE_STEP"] = step
        if trace:
            env["ULLAGE_STEP_TRACE"] = trace
        return Run(subprocess.run(
            [self.program, *place.options(), *args], cwd=self.work, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=120, check=False))

    def must(self, place, *args):
        """A command that has to succeed; a collection may leave something."""
        done = self.run(place, *args)
        if done.status not in (0, 3):
            raise Wrong("ullage %s: %s" % (" ".join(args), done.said))
        return done

    def _clear(self, place):
        """An empty state directory. A layout stays the same directory: another
        one there would be another layout to the database."""
        if not place.is_layout:
            shutil.rmtree(place.top, ignore_errors=True)
            return
        for folder in (place.store, place.top):
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                if path == place.store:
                    continue
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                else:
                    os.remove(path)

    def prepared(self, make, is_layout):
        """The path of a store as a function of cases.py makes it; once."""
        key = (make, is_layout)
        if key not in self.made:
            place = self.places[is_layout]
            self._clear(place)
            make(lambda *args: self.must(place, *args), place)
            path = os.path.join(self.work, "made-%d" % len(self.made))
            subprocess.run(["cp", "-a", place.top, path], check=True)
            self.made[key] = path
        return self.made[key]

    def copy(self, path, is_layout):
        """A store of its own to try something on, always in one place."""
        place = self.places[is_layout]
        self._clear(place)
        os.makedirs(place.top, exist_ok=True)
        subprocess.run(["cp", "-a", path + "/.", place.top + "/"], check=True)
        return place
