// A machine's life and a look at everything around it with go-proxmox, as published.
//
// usage: go-proxmox ENDPOINT USER PASSWORD NODE IMAGE
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	proxmox "github.com/luthermonson/go-proxmox"
)

var ctx = context.Background()

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func wants(what string, holds bool) {
	if !holds {
		panic("not so: " + what)
	}
}

// waits for a task and wants it to have ended well.
func ended(task *proxmox.Task, err error) {
	check(err)
	check(task.Wait(ctx, 100*time.Millisecond, 2*time.Minute))
	wants(fmt.Sprintf("%s ends well: %s", task.Type, task.ExitStatus), task.IsSuccessful)
}

func main() {
	endpoint, user, password, name, image := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	client := proxmox.NewClient(endpoint+"/api2/json", proxmox.WithInsecureSkipVerify(),
		proxmox.WithCredentials(&proxmox.Credentials{Username: user, Password: password}))
	version := must(client.Version(ctx))
	wants("a release of 9", strings.HasPrefix(version.Release, "9."))
	node := must(client.Node(ctx, name))
	people(client)
	surroundings(client, node)
	life(client, node, image)
	fmt.Println("go-proxmox: done")
}

// Users, groups, roles, rights, pools.
func people(client *proxmox.Client) {
	check(client.NewPool(ctx, "gopool", "made by go-proxmox"))
	check(client.NewGroup(ctx, "gophers", "of the test"))
	check(client.NewRole(ctx, "gorole", "VM.Audit,VM.PowerMgmt"))
	check(client.NewUser(ctx, &proxmox.NewUser{UserID: "gopher@pve", Password: "digs-1-hole", Enable: true}))
	user := must(client.User(ctx, "gopher@pve"))
	token := must(user.NewAPIToken(ctx, proxmox.Token{TokenID: "dig", Comment: "of the test"}))
	wants("a secret", token.Value != "")
	check(client.UpdateACL(ctx, proxmox.ACLOptions{Path: "/pool/gopool", Users: "gopher@pve", Roles: "gorole"}))
	wants("an entry", len(must(client.ACL(ctx))) > 0)
	wants("the users", len(must(client.Users(ctx))) >= 2)
	wants("the realms", len(must(client.Domains(ctx))) >= 2)
	must(client.Permissions(ctx, nil))
	check(user.Delete(ctx))
	check(must(client.Group(ctx, "gophers")).Delete(ctx))
	_, err := client.User(ctx, "gopher@pve")
	wants("no such user any more", err != nil && strings.Contains(err.Error(), "no such user ('gopher@pve')"))
}

// What a node and a cluster without anything configured answer.
func surroundings(client *proxmox.Client, node *proxmox.Node) {
	cluster := must(client.Cluster(ctx))
	must(cluster.Resources(ctx))
	must(cluster.Tasks(ctx))
	must(cluster.NextID(ctx))
	must(cluster.Backups(ctx))
	wants("no HA resources", len(must(cluster.HAResources(ctx, ""))) == 0)
	_, err := cluster.HAResource(ctx, "vm:100")
	wants("the text of Proxmox VE", err != nil && strings.Contains(err.Error(), "no such resource 'vm:100'"))
	must(cluster.HARules(ctx, "", ""))
	must(cluster.HAStatus(ctx))
	must(node.Version(ctx))
	must(node.Report(ctx))
	wants("a loopback or a bridge", len(must(node.Networks(ctx))) > 0)
	must(node.DNS(ctx))
	must(node.Hosts(ctx))
	must(node.Time(ctx))
	must(node.Services(ctx))
	must(node.Subscription(ctx))
	// Not node.Disks: it takes the flag "mounted" for a text, and so cannot read a mounted disk.
	must(node.Replications(ctx, 0))
	must(node.APTUpdates(ctx))
	must(node.APTVersions(ctx))
	must(node.ListPCIDevices(ctx, nil))
	must(node.ListUSBDevices(ctx))
	must(node.RRDData(ctx, proxmox.TimeframeHour, proxmox.AVERAGE))
	wants("a storage", len(must(node.Storages(ctx))) > 0)
}

func life(client *proxmox.Client, node *proxmox.Node, image string) {
	storage := must(node.Storage(ctx, "local"))
	ended(storage.Upload("import", image))
	option := func(name string, value any) proxmox.VirtualMachineOption {
		return proxmox.VirtualMachineOption{Name: name, Value: value}
	}
	vmid := must(must(client.Cluster(ctx)).NextID(ctx))
	ended(node.NewVirtualMachine(ctx, vmid, option("name", "gopher"), option("memory", 128),
		option("virtio0", "local:0,import-from=local:import/tiny.qcow2,format=qcow2"),
		option("net0", "virtio,bridge=vmbr0"), option("serial0", "socket"), option("pool", "gopool")))
	machine := func() *proxmox.VirtualMachine { return must(node.VirtualMachine(ctx, vmid)) }
	vm := machine()
	wants("its name", vm.Name == "gopher")
	ended(vm.Config(ctx, option("cores", 1), option("onboot", true), option("description", "of a gopher")))
	ended(vm.AddTag(ctx, "tunnel"))
	ended(vm.ResizeDisk(ctx, "virtio0", "+64M"))
	must(vm.Pending(ctx))
	ended(vm.Start(ctx))
	wants("it runs", machine().IsRunning())
	ended(vm.Pause(ctx))
	ended(vm.Resume(ctx))
	must(vm.RRDData(ctx, proxmox.TimeframeHour))
	ended(vm.NewSnapshot(ctx, "before"))
	wants("the snapshot and now", len(must(vm.Snapshots(ctx))) == 2)
	ended(vm.Reset(ctx))
	ended(vm.Stop(ctx))
	wants("it is stopped", machine().IsStopped())
	newid, task, err := vm.Clone(ctx, &proxmox.VirtualMachineCloneOptions{Name: "second", Full: true})
	ended(task, err)
	second := must(node.VirtualMachine(ctx, newid))
	wants("a name of its own", second.Name == "second")
	ended(second.Delete(ctx, nil))
	pool := must(client.Pool(ctx, "gopool"))
	wants("the pool's member", len(pool.Members) == 1)
	vm = machine()
	ended(vm.Delete(ctx, nil))
	_, err = node.VirtualMachine(ctx, vmid)
	wants("it is gone", err != nil && strings.Contains(err.Error(), "does not exist"))
	check(pool.Delete(ctx))
	ended(storage.DeleteContent(ctx, "local:import/tiny.qcow2"))
}
