"""The life of a machine by the unmodified proxmoxer: snapshots, clones, moves, plugs, the agent.

usage: proxmoxer_life.py PORT ADMIN PASSWORD NODE TINY_DISK SECOND_STORAGE
"""
import os
import sys
import time

from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

port, admin, password, node, tiny, second = int(sys.argv[1]), *sys.argv[2:7]
api = ProxmoxAPI("127.0.0.1", port=port, verify_ssl=False, user=admin, password=password, timeout=30)
machines = api.nodes(node).qemu
VMID, LINKED, FULL = 160, 161, 162


def done(upid):
    """Polls a task to its end, as clients do."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status = api.nodes(node).tasks(upid).status.get()
        if status["status"] == "stopped":
            log = api.nodes(node).tasks(upid).log.get()
            assert status["exitstatus"] == "OK", (upid, status, log)
            return
        time.sleep(0.05)
    raise SystemExit(f"{upid} does not end")


def failed(upid, text):
    """The task ends, and says this."""
    while api.nodes(node).tasks(upid).status.get()["status"] != "stopped":
        time.sleep(0.05)
    said = api.nodes(node).tasks(upid).status.get()["exitstatus"]
    assert text in said, said


def until(what, condition):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except ResourceException:
            pass
        time.sleep(0.1)
    raise SystemExit(f"waited in vain until {what}")


def run(machine, script):
    """Runs a script in the guest by its agent; gives what it printed."""
    pid = machine.agent.exec.post(command=["/bin/sh", "-c", script])["pid"]
    ended = {}

    def has_ended():
        ended.update(machine.agent("exec-status").get(pid=pid))
        return ended["exited"]

    until(f"'{script}' has ended", has_ended)
    assert ended["exitcode"] == 0, (script, ended)
    return ended.get("out-data", "")


def boot(machine):
    done(machine.status.start.post())
    until("the agent answers", lambda: machine.agent.ping.post() is not None)


def uptime(machine):
    return float(run(machine, "cut -d' ' -f1 /proc/uptime"))


storage = api.nodes(node).storage("local")
before = sorted(volume["volid"] for volume in storage.content.get())
with open(tiny, "rb") as image:
    done(storage.upload.create(content="import", filename=image))
image = f"local:import/{os.path.basename(tiny)}"
done(machines.create(vmid=VMID, name="origin", memory=128, kvm=0, serial0="socket", agent=1,
                     scsihw="virtio-scsi-pci", virtio0=f"local:0,import-from={image},format=qcow2"))
origin = machines(VMID)
boot(origin)

# Every command that the guest's agent can answer.
for command in ["get-fsinfo", "get-host-name", "get-osinfo", "get-time", "get-timezone", "get-users", "get-vcpus",
                "info", "network-get-interfaces"]:
    assert "result" in origin.agent(command).get(), command
origin.agent("file-write").post(file="/tmp/note", content="hello")
assert origin.agent("file-read").get(file="/tmp/note")["content"] == "hello"

# A snapshot with memory: the file is as it was, and the guest's clock goes on.
run(origin, "mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo first > /mnt/note; sync")
then = uptime(origin)
done(origin.snapshot.post(snapname="s1", description="with memory", vmstate=1))
run(origin, "echo second > /mnt/note; sync")
done(origin.snapshot("s1").rollback.post())
assert run(origin, "cat /mnt/note").strip() == "first"
assert uptime(origin) >= then, "the guest booted"
names = [row["name"] for row in origin.snapshot.get()]
assert names == ["s1", "current"], names

# A disk and a card plugged, seen by the guest, and unplugged.
disks = int(run(origin, "ls /sys/block | grep -c '^[sv]d'"))
origin.config.put(scsi1="local:0.1")
until("the disk is seen", lambda: int(run(origin, "ls /sys/block | grep -c '^[sv]d'")) == disks + 1)
cards = int(run(origin, "ls /sys/class/net | wc -l"))
origin.config.put(net1="virtio")
until("the card is seen", lambda: int(run(origin, "ls /sys/class/net | wc -l")) == cards + 1)
assert not any("pending" in row for row in origin.pending.get()), origin.pending.get()
origin.config.put(delete="scsi1,net1")
until("the disk is gone", lambda: int(run(origin, "ls /sys/block | grep -c '^[sv]d'")) == disks)
done(origin.snapshot("s1").delete())

# The disk moves while it is written to; what was there is there.
run(origin, "(while :; do date > /mnt/beat; sync; done) > /dev/null 2>&1 & echo $! > /tmp/beat")
checksum = run(origin, "sha256sum /mnt/vmlinuz")
for target, form in [("local", "raw"), ("local", "qcow2"), (second, "qcow2")]:
    done(origin.move_disk.post(disk="virtio0", storage=target, format=form, delete=1))
run(origin, "kill $(cat /tmp/beat); sync; echo 3 > /proc/sys/vm/drop_caches")
assert run(origin, "sha256sum /mnt/vmlinuz") == checksum

# Suspended to disk, and awake again.
then = uptime(origin)
done(origin.status.suspend.post(todisk=1))
assert origin.status.current.get()["status"] == "stopped"
done(origin.status.resume.post())
until("the agent answers", lambda: origin.agent.ping.post() is not None)
assert uptime(origin) >= then

# A template, what it refuses, and its clones.
done(origin.status.shutdown.post(timeout=60))
done(origin.template.post())
failed(origin.status.start.post(), "you can't start a vm if it's a template")
done(origin.clone.post(newid=LINKED, name="linked"))
done(origin.clone.post(newid=FULL, name="full", full=1, storage="local"))
for clone in [LINKED, FULL]:
    boot(machines(clone))
    assert run(machines(clone), "mkdir -p /mnt; mount -t vfat /dev/vda /mnt; cat /mnt/note").strip() == "first"
    done(machines(clone).status.stop.post())
failed(origin.delete(), "is still in use by linked cloned")
for machine in [LINKED, FULL, VMID]:
    done(machines(machine).delete(purge=1))
upid = storage.content(image).delete()
if upid:
    done(upid)
after = sorted(volume["volid"] for volume in storage.content.get())
assert after == before, (before, after)
assert api.nodes(node).storage(second).content.get() == []
print("proxmoxer: a whole life")
