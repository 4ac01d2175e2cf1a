# What people keep in Terraform for Proxmox VE, with the provider bpg/proxmox as it is published.

resource "proxmox_virtual_environment_pool" "team" {
  pool_id = "team"
  comment = "machines of the team"
}

resource "proxmox_virtual_environment_role" "operator" {
  role_id    = "operator"
  privileges = ["VM.Audit", "VM.PowerMgmt", "VM.Console"]
}

resource "proxmox_virtual_environment_user" "jane" {
  user_id  = "jane@pve"
  password = "opens-1-door"
  comment  = "made by Terraform"
}

resource "proxmox_virtual_environment_acl" "jane" {
  user_id   = proxmox_virtual_environment_user.jane.user_id
  role_id   = proxmox_virtual_environment_role.operator.role_id
  path      = "/pool/team"
  propagate = true
}

resource "proxmox_virtual_environment_user_token" "deploy" {
  user_id               = proxmox_virtual_environment_user.jane.user_id
  token_name            = "deploy"
  comment               = "for deployments"
  privileges_separation = true
}

resource "proxmox_virtual_environment_file" "iso" {
  content_type = "iso"
  datastore_id = local.storage
  node_name    = local.node
  source_file {
    path = var.iso_path
  }
}

resource "proxmox_virtual_environment_download_file" "image" {
  content_type = "import"
  datastore_id = local.storage
  node_name    = local.node
  url          = var.image_url
  file_name    = "tiny.qcow2"
}

# A machine made from nothing but an image.
resource "proxmox_virtual_environment_vm" "plain" {
  name            = "plain"
  description     = "Managed by Terraform"
  tags            = ["terraform", "tiny"]
  node_name       = local.node
  vm_id           = 4321
  pool_id         = proxmox_virtual_environment_pool.team.pool_id
  stop_on_destroy = true

  startup {
    order      = "3"
    up_delay   = "60"
    down_delay = "60"
  }

  cpu {
    cores = 1
    type  = "qemu64"
  }

  memory {
    dedicated = 128
  }

  disk {
    datastore_id = local.storage
    import_from  = proxmox_virtual_environment_download_file.image.id
    interface    = "virtio0"
    size         = 1
  }

  cdrom {
    file_id   = proxmox_virtual_environment_file.iso.id
    interface = "ide2"
  }

  network_device {
    bridge = "vmbr0"
  }

  serial_device {}
}

resource "proxmox_virtual_environment_vm" "template" {
  name      = "template"
  node_name = local.node
  vm_id     = 4322
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

# A machine made from a template, which learns at its first boot who it is.
resource "proxmox_virtual_environment_vm" "web" {
  name            = "web"
  node_name       = local.node
  stop_on_destroy = true

  clone {
    vm_id = proxmox_virtual_environment_vm.template.vm_id
    full  = true
  }

  memory {
    dedicated = 160
  }

  initialization {
    datastore_id = local.storage
    ip_config {
      ipv4 {
        address = "10.9.0.2/24"
        gateway = "10.9.0.1"
      }
    }
    dns {
      servers = ["10.9.0.1"]
    }
    user_account {
      username = "lab"
      password = "correct-horse"
      keys     = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC8R2ZNuSB8eSxpAjKAHG9z2oU0Xp6W5k5dBqn4SxM9w lab"]
    }
  }
}
