"""The commands that are stopped, and the stores that they are run on."""
import os
import shutil

APP = "docker.io/library/app:2"
THREE = "docker-save-three-images.tar"
ZSTD = "buildx-zstd.tar"
# The digest of app:2 in the samples.
APP_DIGEST = "sha256:ae472d30faf6"


def empty(run, state):
    """No store at all."""
    os.mkdir(state)


def one(run, state):
    """One image, unpacked."""
    run(state, "import", "--unpack", ZSTD)


def packed(run, state):
    """Four images, none of them unpacked."""
    run(state, "import", ZSTD)
    run(state, "import", THREE)


def full(run, state):
    """Four images unpacked, a lease, a snapshot with something in it."""
    one(run, state)
    run(state, "import", "--unpack", THREE)
    run(state, "lease", "create", "held")
    run(state, "lease", "add", "held", "app:1")
    run(state, "snapshot", "prepare", "work", "app:1")
    with open(os.path.join(state, "store/snapshots/key-work/fs/mine"), "w",
              encoding="utf-8") as file:
        file.write("what was written\n")


def moved(run, state):
    """A name stands for something else than in the archive."""
    full(run, state)
    run(state, "tag", "--replace", "buildx-zstd", "app:2")


def trashed(run, state):
    """Two images lie in the trash."""
    full(run, state)
    run(state, "prune", "-y", "app:2", "buildx-zstd")


def returned(run, state):
    """Another program has written the index that it read before that."""
    full(run, state)
    index = os.path.join(state, "store/oci/index.json")
    shutil.copy(index, state + ".index")
    run(state, "prune", "-y", "app:2", "buildx-zstd")
    shutil.copy(state + ".index", index)
    os.remove(state + ".index")


# Before these: what was released lately, and not touched since (a copy of a
# store has touched everything), goes without grace.
RELEASED = ("untag", "app:2", "buildx-zstd")
FIRST = {"gc": RELEASED, "gc --now": RELEASED}

# What it is called, the store before, the command.
CASES = (
    ("first import", empty, ("import", THREE)),
    ("import", one, ("import", THREE)),
    ("import --unpack", one, ("import", "--unpack", THREE)),
    ("import from the trash", trashed, ("import", "--unpack", THREE)),
    ("import --replace", moved, ("import", "--replace", THREE)),
    ("unpack", packed, ("unpack", "app:2", "buildx-zstd")),
    ("tag", full, ("tag", "app:1", "new:1")),
    ("tag --replace", full, ("tag", "--replace", "base:1", "app:2")),
    ("tag from the trash", trashed, ("tag", "app:2", "app:2")),
    ("untag", full, ("untag", "app:2")),
    ("pin", full, ("pin", "app:2")),
    ("lease create", full, ("lease", "create", "other")),
    ("lease add", full, ("lease", "add", "held", "buildx-zstd")),
    ("lease add from the trash", trashed, ("lease", "add", "held", APP_DIGEST)),
    ("lease remove", full, ("lease", "remove", "held", "app:1")),
    ("lease delete", full, ("lease", "delete", "held")),
    ("snapshot prepare", full, ("snapshot", "prepare", "more", "app:2")),
    ("snapshot view", full, ("snapshot", "view", "seen", "app:2")),
    ("snapshot commit", full, ("snapshot", "commit", "done", "work")),
    ("snapshot remove", full, ("snapshot", "remove", "work")),
    ("gc", full, ("gc",)),
    ("gc --now", full, ("gc", "--grace", "0", "--now")),
    ("gc of the trash", trashed, ("gc", "--grace", "0", "--now")),
    ("gc puts back", returned, ("gc",)),
    ("prune", full, ("prune", "-y", "app:2", "buildx-zstd")),
    ("prune --now", full, ("prune", "-y", "--now", "app:2", "buildx-zstd")),
    ("undo", trashed, ("undo", "1")),
)
