# Containers, machines with many options, and what is changed of them later.

resource "proxmox_virtual_environment_pool" "apps" {
  pool_id = "apps"
}

resource "proxmox_virtual_environment_download_file" "image" {
  content_type = "import"
  datastore_id = local.storage
  node_name    = local.node
  url          = var.image_url
  file_name    = "tiny.qcow2"
}

resource "proxmox_hardware_mapping_dir" "data" {
  name = "data"
  map = [
    {
      node = local.node
      path = var.folder
    },
  ]
}

resource "proxmox_virtual_environment_container" "template" {
  node_name    = local.node
  vm_id        = 5000
  template     = true
  started      = false
  unprivileged = true

  disk {
    datastore_id = local.storage
    size         = 1
  }

  operating_system {
    template_file_id = var.template
    type             = "alpine"
  }

  initialization {
    hostname = "ct-template"
  }

  network_interface {
    name = "eth0"
  }
}

resource "proxmox_virtual_environment_container" "web" {
  node_name     = local.node
  vm_id         = 5001
  description   = var.later ? "the web, later" : "the web"
  tags          = var.later ? ["terraform", "web"] : ["terraform"]
  pool_id       = proxmox_virtual_environment_pool.apps.pool_id
  unprivileged  = true
  start_on_boot = false

  features {
    nesting = true
  }

  console {
    type      = "shell"
    tty_count = 1
  }

  cpu {
    cores = var.later ? 2 : 1
    units = 200
    limit = 1
  }

  memory {
    dedicated = var.later ? 192 : 128
    swap      = 64
  }

  disk {
    datastore_id = local.storage
    size         = 1
  }

  mount_point {
    volume        = local.storage
    size          = "1G"
    path          = "/data"
    backup        = var.later
    mount_options = ["noatime"]
  }

  initialization {
    hostname = "web"
    dns {
      domain  = "example.com"
      servers = ["10.9.0.1", "10.9.0.2"]
    }
    ip_config {
      ipv4 {
        address = "10.9.0.12/24"
        gateway = "10.9.0.1"
      }
      ipv6 {
        address = "fd00:9::12/64"
      }
    }
    user_account {
      keys     = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC8R2ZNuSB8eSxpAjKAHG9z2oU0Xp6W5k5dBqn4SxM9w lab"]
      password = "correct-horse"
    }
  }

  network_interface {
    name        = "eth0"
    bridge      = "vmbr0"
    mac_address = "BC:24:11:00:00:12"
    rate_limit  = 10
    mtu         = 1400
  }

  operating_system {
    template_file_id = var.template
    type             = "alpine"
  }

  startup {
    order      = "2"
    up_delay   = "5"
    down_delay = "5"
  }
}

resource "proxmox_virtual_environment_container" "copy" {
  node_name = local.node
  vm_id     = 5002

  clone {
    vm_id = proxmox_virtual_environment_container.template.vm_id
  }

  initialization {
    hostname = "copy"
    ip_config {
      ipv4 {
        address = "10.9.0.13/24"
      }
    }
  }

  network_interface {
    name = "eth0"
  }
}

resource "proxmox_virtual_environment_vm" "full" {
  name                = "full"
  description         = var.later ? "changed" : "with many options"
  tags                = ["many", "options"]
  node_name           = local.node
  vm_id               = 5010
  pool_id             = proxmox_virtual_environment_pool.apps.pool_id
  machine             = "q35"
  bios                = "ovmf"
  scsi_hardware       = "virtio-scsi-single"
  boot_order          = ["scsi0", "net0"]
  keyboard_layout     = "de"
  tablet_device       = false
  acpi                = true
  on_boot             = false
  started             = false
  protection          = false
  hotplug             = "network,disk,usb"
  stop_on_destroy     = true

  agent {
    enabled = true
    trim    = true
    type    = "virtio"
  }

  cpu {
    sockets = 1
    cores   = var.later ? 4 : 2
    type    = "x86-64-v2-AES"
    flags   = ["+aes"]
    limit   = 2
    units   = 300
    numa    = true
  }

  memory {
    dedicated = 256
    floating  = var.later ? 192 : 128
  }

  efi_disk {
    datastore_id      = local.storage
    file_format       = "raw"
    type              = "4m"
    pre_enrolled_keys = false
  }

  tpm_state {
    datastore_id = local.storage
    version      = "v2.0"
  }

  disk {
    datastore_id = local.storage
    import_from  = proxmox_virtual_environment_download_file.image.id
    interface    = "scsi0"
    size         = 1
    cache        = "writeback"
    discard      = "on"
    iothread     = true
    ssd          = true
    serial       = "first"
    speed {
      read       = 50
      iops_write = 500
    }
  }

  disk {
    datastore_id = local.storage
    interface    = "scsi1"
    size         = var.later ? 3 : 2
    file_format  = "raw"
    backup       = false
    replicate    = false
  }

  dynamic "disk" {
    for_each = var.later ? [1] : []
    content {
      datastore_id = local.storage
      interface    = "virtio3"
      size         = 1
      file_format  = "qcow2"
    }
  }

  network_device {
    bridge      = "vmbr0"
    mac_address = "BC:24:11:00:00:20"
    model       = "virtio"
    queues      = 2
    mtu         = 1
    rate_limit  = 12.5
    firewall    = true
  }

  network_device {
    bridge       = "vmbr0"
    model        = "e1000"
    disconnected = !var.later
  }

  operating_system {
    type = "l26"
  }

  serial_device {}

  smbios {
    family       = "rack"
    manufacturer = "Example Ltd"
    product      = "of many parts"
    serial       = "0001"
    version      = "2"
  }

  startup {
    order      = "7"
    up_delay   = "10"
    down_delay = "20"
  }

  vga {
    type   = "std"
    memory = 32
  }

  watchdog {
    enabled = true
    model   = "i6300esb"
    action  = "reset"
  }

  virtiofs {
    mapping = proxmox_hardware_mapping_dir.data.name
    cache   = "auto"
  }
}

# The newer resources for machines.
resource "proxmox_vm" "small" {
  node_name   = local.node
  id          = 5020
  name        = "small"
  description = var.later ? "small, later" : "small"
  tags        = ["newer"]

  cpu = {
    cores = var.later ? 2 : 1
    type  = "qemu64"
    units = 200
  }

  cdrom = {
    ide2 = { file_id = "none" }
  }

  vga = {
    type   = "std"
    memory = 16
  }
}

resource "proxmox_pool_membership" "small" {
  pool_id = proxmox_virtual_environment_pool.apps.pool_id
  vm_id   = proxmox_vm.small.id
}

resource "proxmox_virtual_environment_vm" "template" {
  name      = "template"
  node_name = local.node
  vm_id     = 5030
  template  = true
  started   = false

  memory {
    dedicated = 128
  }

  disk {
    datastore_id = local.storage
    import_from  = proxmox_virtual_environment_download_file.image.id
    interface    = "virtio0"
    file_format  = "qcow2"
    size         = 1
  }

  network_device {
    bridge = "vmbr0"
  }

  serial_device {}
}

resource "proxmox_cloned_vm" "linked" {
  node_name       = local.node
  id              = 5031
  name            = "linked"
  description     = "a clone"
  tags            = var.later ? ["clone", "later"] : ["clone"]
  stop_on_destroy = true

  clone = {
    source_vm_id = proxmox_virtual_environment_vm.template.vm_id
    full         = false
  }

  cpu = {
    cores = 1
    type  = "qemu64"
  }

  memory = {
    size    = 160
    balloon = 128
  }

  network = {
    net0 = {
      bridge      = "vmbr0"
      model       = "virtio"
      mac_address = "BC:24:11:2E:C5:01"
    }
    net1 = {
      bridge      = "vmbr0"
      model       = "e1000"
      mac_address = "BC:24:11:2E:C5:00"
      link_down   = true
    }
  }

  disk = {
    virtio0 = {
      size_gb = var.later ? 2 : 1
    }
    scsi1 = {
      datastore_id = local.storage
      size_gb      = 1
      backup       = false
    }
  }
}

data "proxmox_virtual_environment_vms" "all" {
  node_name = local.node
  tags      = ["clone"]
  depends_on = [proxmox_cloned_vm.linked]
}
data "proxmox_virtual_environment_vm" "full" {
  node_name = local.node
  vm_id     = proxmox_virtual_environment_vm.full.vm_id
}
data "proxmox_virtual_environment_containers" "all" {
  node_name  = local.node
  depends_on = [proxmox_virtual_environment_container.web, proxmox_virtual_environment_container.copy]
}
data "proxmox_virtual_environment_container" "web" {
  node_name = local.node
  vm_id     = proxmox_virtual_environment_container.web.vm_id
}

output "containers" { value = data.proxmox_virtual_environment_containers.all.containers[*].name }
output "clones" { value = data.proxmox_virtual_environment_vms.all.vms[*].name }
