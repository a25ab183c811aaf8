"""The commands that are stopped, and the stores that they are run on."""
import glob
import os
import shutil
import subprocess

APP = "docker.io/library/app:2"
THREE = "docker-save-three-images.tar"
ZSTD = "buildx-zstd.tar"
# The digest of app:2 in the samples.
APP_DIGEST = "sha256:ae472d30faf6"


def empty(_run, place):
    """No store at all."""
    os.mkdir(place.top)


def one(run, _place):
    """One image, unpacked."""
    run("import", "--unpack", ZSTD)


def packed(run, _place):
    """Four images, none of them unpacked."""
    run("import", ZSTD)
    run("import", THREE)


def full(run, place):
    """Four images unpacked, a lease, a snapshot with something in it."""
    one(run, place)
    run("import", "--unpack", THREE)
    run("lease", "create", "held")
    run("lease", "add", "held", "app:1")
    run("snapshot", "prepare", "work", "app:1")
    with open(place.path("snapshots/key-work/fs/mine"), "w",
              encoding="utf-8") as file:
        file.write("what was written\n")


def moved(run, place):
    """A name stands for something else than in the archive."""
    full(run, place)
    run("tag", "--replace", "buildx-zstd", "app:2")


def trashed(run, place):
    """Two images lie in the trash."""
    full(run, place)
    run("prune", "-y", "app:2", "buildx-zstd")


def write_back(run, place, *command):
    """Another program writes the index back that it read before this."""
    kept = place.top + ".index"
    shutil.copy(place.index(), kept)
    run(*command)
    shutil.copy(kept, place.index())
    os.remove(kept)


def returned(run, place):
    """Another program has written the index that it read before that."""
    full(run, place)
    write_back(run, place, "prune", "-y", "app:2", "buildx-zstd")


def cut(path, length):
    """A file that was not written to its end, a while ago."""
    os.truncate(path, length)
    os.utime(path, (1e9, 1e9))


def largest_blob(place):
    """The only layer of one image alone is the largest of the samples."""
    return max(glob.glob(place.path(place.oci + "blobs/sha256/*")),
               key=os.path.getsize)


def hurt(run, place):
    """A layer and a record of the trash are damaged; a snapshot's folder is
    gone."""
    full(run, place)
    run("prune", "-y", "app:2")
    run("df")
    cut(largest_blob(place), 100)
    cut(glob.glob(place.path("trash/*/record.json"))[0], 20)
    shutil.rmtree(max(glob.glob(place.path("snapshots/layer-*"))))


def unindexed(run, place):
    """The index was not written to its end; one of its images is trashed."""
    full(run, place)
    run("prune", "-y", "app:2")
    cut(place.index(), 200)


def nameless(run, place):
    """It does not say which store it is."""
    full(run, place)
    cut(place.path("store-id"), 3)


def forgotten(run, place):
    """The database is lost, and with it that anything was ever needed."""
    full(run, place)
    run("untag", "app:2")
    for path in glob.glob(os.path.join(place.top, "ullage.db*")):
        os.remove(path)


def ruined(run, place):
    """The database's file is damaged."""
    full(run, place)
    for path in glob.glob(os.path.join(place.top, "ullage.db*")):
        os.remove(path)
    with open(os.path.join(place.top, "ullage.db"), "w",
              encoding="utf-8") as file:
        file.write("no database, however long one looks at it" * 100)


def edited(run, place):
    """Somebody has changed a layer that was unpacked."""
    full(run, place)
    folder = min(glob.glob(place.path("snapshots/layer-*/fs")))
    before = os.stat(folder)
    with open(os.path.join(folder, "more"), "w", encoding="utf-8") as file:
        file.write("edited\n")
    # The layers above have its time, and would differ from theirs too.
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))


def layout(run, place):
    """A layout of others: three names, and what a build has left behind."""
    work = os.path.dirname(place.top)
    for folder in ("skopeo-layout", "buildx-local-cache/blobs"):
        to = place.store + ("/blobs" if folder.endswith("blobs") else "")
        subprocess.run(["cp", "-a", "-n",
                        os.path.join(work, folder) + "/.", to], check=True)
    run("tag", "--quiet", "app", "two")
    run("df")


def layout_trashed(run, place):
    """One of its images lies in the trash."""
    layout(run, place)
    run("prune", "-y", "--grace", "1h", "zst")


def layout_returned(run, place):
    """Its name came back."""
    layout(run, place)
    write_back(run, place, "prune", "-y", "--grace", "1h", "zst")


def layout_hurt(run, place):
    """A layer and a record of the trash are damaged."""
    layout(run, place)
    run("tag", "--quiet", "app", "three")
    run("prune", "-y", "--grace", "1h", "three")
    cut(largest_blob(place), 100)
    cut(glob.glob(place.path(".ullage-trash/*/record.json"))[0], 20)


def layout_unindexed(run, place):
    """The index was not written to its end; one of its images is trashed."""
    layout_trashed(run, place)
    cut(place.index(), 200)


# Before these: what was released lately, and not touched since (a copy of a
# store has touched everything), goes without grace.
RELEASED = ("untag", "app:2", "buildx-zstd")
FIRST = {"gc": RELEASED, "gc --now": RELEASED}

NOW = ("--grace", "0", "--now")
ALONE = (*NOW, "--exclusive")

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
    ("gc --now", full, ("gc", *NOW)),
    ("gc of the trash", trashed, ("gc", *NOW)),
    ("gc puts back", returned, ("gc",)),
    ("prune", full, ("prune", "-y", "app:2", "buildx-zstd")),
    ("prune --now", full, ("prune", "-y", "--now", "app:2", "buildx-zstd")),
    ("undo", trashed, ("undo", "1")),
    ("verify", hurt, ("verify",)),
    ("verify --deep", edited, ("verify", "--deep")),
    ("verify --repair", hurt, ("verify", "--repair")),
    ("verify --repair, damaged index", unindexed, ("verify", "--repair")),
    ("verify --repair, damaged store-id", nameless, ("verify", "--repair")),
    ("verify --repair, lost database", forgotten, ("verify", "--repair")),
    ("verify --repair, damaged database", ruined, ("verify", "--repair")),
    ("verify --repair --deep", edited, ("verify", "--repair", "--deep")),
)
# The same on image layouts of others.
LAYOUT_CASES = (
    ("oci gc", layout, ("gc", "--grace", "0")),
    ("oci gc --now", layout, ("gc", *ALONE)),
    ("oci gc of the trash", layout_trashed, ("gc", *ALONE)),
    ("oci gc puts back", layout_returned, ("gc",)),
    ("oci prune", layout, ("prune", "-y", "--grace", "1h", "app", "two")),
    ("oci prune --now", layout, ("prune", "-y", *ALONE, "zst")),
    ("oci undo", layout_trashed, ("undo", "1")),
    ("oci tag", layout, ("tag", "app", "new")),
    ("oci tag from the trash", layout_trashed, ("tag", "zst", "zst")),
    ("oci untag", layout, ("untag", "zst")),
    ("oci pin", layout, ("pin", "app")),
    ("oci verify", layout_hurt, ("verify",)),
    ("oci verify --repair", layout_hurt,
     ("verify", "--repair", "--grace", "0")),
    ("oci verify --repair, damaged index", layout_unindexed,
     ("verify", "--repair", "--grace", "0")),
)
