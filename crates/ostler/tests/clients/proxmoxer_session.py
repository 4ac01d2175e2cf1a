"""What an automation does with the unmodified proxmoxer, from login to a clean node.

usage: proxmoxer_session.py PORT ADMIN PASSWORD NODE TINY_DISK
"""
import io
import os
import ssl
import sys
import time
from urllib.parse import quote_plus, urlencode

import pyotp
import websocket
from proxmoxer import ProxmoxAPI
from proxmoxer.core import AuthenticationError, ResourceException

port, admin, password, node, tiny = int(sys.argv[1]), *sys.argv[2:6]
VMID = 150


def connect(**how):
    return ProxmoxAPI("127.0.0.1", port=port, verify_ssl=False, **how)


def wait(api, upid):
    """Polls a task to its end, as clients do; gives its exit status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = api.nodes(node).tasks(upid).status.get()
        if status["status"] == "stopped":
            return status["exitstatus"]
        time.sleep(0.05)
    raise SystemExit(f"{upid} does not end")


def done(api, upid):
    status = wait(api, upid)
    assert status == "OK", (upid, status, api.nodes(node).tasks(upid).log.get())


def refused(call, status, text):
    try:
        call()
    except ResourceException as error:
        assert error.status_code == status and text in str(error), error
        return
    raise SystemExit(f"not refused: {text}")


def life_of_a_machine(api):
    """Everything that can be done with one machine; nothing of it stays."""
    machines = api.nodes(node).qemu
    before = [volume["volid"] for volume in api.nodes(node).storage("local").content.get()]
    done(api, machines.create(vmid=VMID, name="web", memory=64, kvm=0, tags="blue;red",
                              scsi0="local:1", virtio1="local:0.5,format=qcow2"))
    refused(lambda: machines.create(vmid=VMID), 500, f"VM {VMID} already exists on node")
    machine = machines(VMID)
    done(api, machine.status.start.post())
    status = machine.status.current.get()
    assert (status["status"], status["name"], status["tags"]) == ("running", "web", "blue;red"), status

    digest = machine.config.get()["digest"]
    machine.config.put(description="hello", digest=digest)
    refused(lambda: machine.config.put(description="late", digest=digest), 500, "checksum mismatch")
    machine.config.put(cores=2)
    pending = {row["key"]: row for row in machine.pending.get()}
    assert (pending["description"]["value"], pending["cores"]["pending"]) == ("hello", 2), pending

    done(api, machine.resize.put(disk="scsi0", size="+1G"))
    assert machine.config.get()["scsi0"].endswith("size=2G"), machine.config.get()
    refused(lambda: machine.config.put(net0="foo=bar"), 400, "")
    done(api, machine.status.stop.post())
    done(api, machine.delete())
    refused(machine.config.get, 500, "does not exist")
    after = [volume["volid"] for volume in api.nodes(node).storage("local").content.get()]
    assert after == before, (before, after)


def upload(api):
    image = io.BytesIO(b"an image of nothing" * 1000)
    image.name = "nothing.iso"
    done(api, api.nodes(node).storage("local").upload.create(content="iso", filename=image))
    volumes = {volume["volid"]: volume for volume in api.nodes(node).storage("local").content.get(content="iso")}
    assert volumes["local:iso/nothing.iso"]["size"] == 19_000, volumes
    upid = api.nodes(node).storage("local").content("local:iso/nothing.iso").delete()
    if upid:
        done(api, upid)


def open_console(api, machine, proxy):
    """A websocket to what a machine's proxy leads to, as browsers open it: with the cookie."""
    query = urlencode({"port": proxy["port"], "vncticket": proxy["ticket"]})
    ticket, _ = api.get_tokens()
    return websocket.create_connection(
        f"wss://127.0.0.1:{port}/api2/json/nodes/{node}/qemu/{VMID}/vncwebsocket?{query}",
        subprotocols=["binary"], sslopt={"cert_reqs": ssl.CERT_NONE}, timeout=60,
        cookie=f"PVEAuthCookie={quote_plus(ticket)}")


def read_until(console, text):
    seen = b""
    while text not in seen:
        part = console.recv()
        assert part, (text, seen)
        seen += part if isinstance(part, bytes) else part.encode()
    return seen


def consoles(api, machine):
    """The serial console, a command typed and answered, then the first words of VNC."""
    proxy = machine.termproxy.post()
    console = open_console(api, machine, proxy)
    console.send(f"{proxy['user']}:{proxy['ticket']}\n")
    read_until(console, b"OK")
    read_until(console, b"tiny: ready")
    typed = "echo $((6 * 7)) is the answer\n"
    console.send(f"0:{len(typed)}:{typed}")
    read_until(console, b"42 is the answer")
    console.close()

    proxy = machine.vncproxy.post(websocket=1)
    console = open_console(api, machine, proxy)
    assert read_until(console, b"\n").startswith(b"RFB 003."), "VNC does not greet"
    console.close()


def machine_from_an_image(api):
    storage = api.nodes(node).storage("local")
    with open(tiny, "rb") as image:
        done(api, storage.upload.create(content="import", filename=image))
    image = f"local:import/{os.path.basename(tiny)}"
    machines = api.nodes(node).qemu
    done(api, machines.create(vmid=VMID, name="imported", memory=128, kvm=0, serial0="socket",
                              virtio0=f"local:0,import-from={image},format=qcow2"))
    machine = machines(VMID)
    assert "import-from" not in machine.config.get()["virtio0"], machine.config.get()
    done(api, machine.status.start.post())
    consoles(api, machine)
    done(api, machine.resize.put(disk="virtio0", size="+16M"))
    done(api, machine.status.shutdown.post(timeout=60))
    assert machine.status.current.get()["status"] == "stopped"
    done(api, machine.delete())
    upid = storage.content(image).delete()
    if upid:
        done(api, upid)
    refused(lambda: machines.create(vmid=VMID, scsi0=f"local:8,import-from={image}"), 400, "")


by_password = connect(user=admin, password=password)
assert by_password.version.get()["release"] == "9.2"
life_of_a_machine(by_password)
machine_from_an_image(by_password)
upload(by_password)

# covers: S2.55 S4.30 (a token that may only look at one machine)
by_password.access.users.create(userid="bot@pve")
made = by_password.access.users("bot@pve").token("deploy").create()
by_token = connect(user="bot@pve", token_name="deploy", token_value=made["value"])
refused(lambda: by_token.nodes(node).qemu.create(vmid=VMID), 403, "Permission check failed")
everything = by_password.access.users(admin).token("full").create(privsep=0)
life_of_a_machine(connect(user=admin, token_name="full", token_value=everything["value"]))

# covers: S3.80 S4.28 (a second factor at login)
by_password.access.users.create(userid="two@pve", password="first-factor")
factor = pyotp.random_base32()
code = pyotp.TOTP(factor)
first = connect(user="two@pve", password="first-factor")
first.access.tfa("two@pve").create(type="totp", totp=f"otpauth://totp/two@pve?secret={factor}",
                                   value=code.now(), password="first-factor", description="phone")
try:
    connect(user="two@pve", password="first-factor", otp="000000")
    raise SystemExit("a wrong code was let in")
except AuthenticationError:
    pass
# A code works once: the one that made the entry is spent, so the next one is waited for.
time.sleep(30 - time.time() % 30)
second = connect(user="two@pve", password="first-factor", otp=code.now())
assert second.version.get()["release"] == "9.2"
print("proxmoxer: all is well")
