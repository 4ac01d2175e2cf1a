"""A container by the unmodified proxmoxer, with the call of the cluster's documentation.

usage: proxmoxer_container.py PORT ADMIN PASSWORD NODE
"""
import sys
import time

from proxmoxer import ProxmoxAPI

port, admin, password, node = int(sys.argv[1]), *sys.argv[2:5]
api = ProxmoxAPI("127.0.0.1", port=port, verify_ssl=False, user=admin, password=password)


def done(upid):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = api.nodes(node).tasks(upid).status.get()
        if status["status"] == "stopped":
            assert status["exitstatus"] == "OK", (status, api.nodes(node).tasks(upid).log.get())
            return
        time.sleep(0.05)
    raise SystemExit(f"{upid} does not end")


vmid = api.cluster.nextid.get()
done(api.nodes(node).lxc.create(vmid=vmid, ostemplate='local:vztmpl/ubuntu-24.04.tar.gz', storage='global-lvm',
                                memory=2048, cores=2, rootfs='global-lvm:20'))
container = api.nodes(node).lxc(vmid)
config = container.config.get()
assert config["rootfs"].startswith("global-lvm:") and config["rootfs"].endswith(",size=20G"), config
assert (config["memory"], config["cores"], config["unprivileged"]) == (2048, 2, 1), config
assert [str(one["vmid"]) for one in api.nodes(node).lxc.get()] == [str(vmid)]
resource, = [one for one in api.cluster.resources.get(type="vm") if one["vmid"] == int(vmid)]
assert (resource["type"], resource["id"]) == ("lxc", f"lxc/{vmid}"), resource
done(container.status.start.post())
current = container.status.current.get()
assert current["status"] == "running" and current["maxmem"] == 2 << 30, current
container.config.put(memory=1024, tags="a;b")
assert container.config.get()["memory"] == 1024
done(container.status.shutdown.post(timeout=30, forceStop=1))
assert container.status.current.get()["status"] == "stopped"
done(container.delete(purge=1))
assert api.nodes(node).lxc.get() == []
print("done")
