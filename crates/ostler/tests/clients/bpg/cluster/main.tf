# Who may do what, where things are kept, and the options of the cluster.

resource "proxmox_virtual_environment_group" "ops" {
  group_id = "ops"
  comment  = var.later ? "those who operate" : "operators"
}

resource "proxmox_virtual_environment_role" "auditor" {
  role_id    = "look-around"
  privileges = var.later ? ["VM.Audit", "Sys.Audit"] : ["VM.Audit", "Datastore.Audit"]
}

resource "proxmox_virtual_environment_user" "ann" {
  user_id         = "ann@pve"
  password        = "opens-1-door"
  first_name      = "Ann"
  last_name       = "Smith"
  email           = "ann@example.com"
  comment         = "on call"
  enabled         = !var.later
  expiration_date = "2034-01-01T22:00:00Z"
  groups          = [proxmox_virtual_environment_group.ops.group_id]

  acl {
    path      = "/vms/1234"
    propagate = true
    role_id   = proxmox_virtual_environment_role.auditor.role_id
  }
}

resource "proxmox_user_token" "robot" {
  user_id               = proxmox_virtual_environment_user.ann.user_id
  token_name            = "robot"
  comment               = var.later ? "another" : "for scripts"
  expiration_date       = "2033-01-01T22:00:00Z"
  privileges_separation = true
}

resource "proxmox_acl" "group" {
  group_id  = proxmox_virtual_environment_group.ops.group_id
  role_id   = "PVEAuditor"
  path      = "/"
  propagate = !var.later
}

resource "proxmox_acl" "token" {
  token_id = proxmox_user_token.robot.id
  role_id  = "PVEVMAdmin"
  path     = "/pool/apps"
}

resource "proxmox_virtual_environment_pool" "apps" {
  pool_id = "apps"
  comment = var.later ? "" : "applications"
}

resource "proxmox_pool_membership" "storage" {
  pool_id    = proxmox_virtual_environment_pool.apps.id
  storage_id = proxmox_storage_directory.extra.id
}

resource "proxmox_storage_directory" "extra" {
  id      = "extra"
  path    = "${var.folder}/extra"
  nodes   = [local.node]
  content = var.later ? ["images", "iso", "backup"] : ["images", "iso"]
  shared  = false

  backups {
    max_protected_backups = var.later ? 7 : 5
    keep_daily            = 7
    keep_weekly           = 4
  }
}

resource "proxmox_storage_directory" "all" {
  id            = "for-all"
  path          = "${var.folder}/all"
  content       = ["rootdir", "vztmpl", "snippets", "import"]
  shared        = true
  preallocation = "off"
  disable       = var.later
}

# Servers that nobody reaches from here are configured, and not used.
resource "proxmox_storage_nfs" "nas" {
  id                       = "nas"
  server                   = "192.0.2.10"
  export                   = "/exports/machines"
  content                  = ["images", "iso", "backup"]
  options                  = "vers=4.2"
  preallocation            = "metadata"
  snapshot_as_volume_chain = false
  disable                  = true

  backups {
    keep_last = 3
  }
}

resource "proxmox_storage_cifs" "office" {
  id           = "office"
  server       = "192.0.2.11"
  share        = "machines"
  username     = "backup"
  password     = "of-the-share"
  domain       = "EXAMPLE"
  subdirectory = "/of/ostler"
  content      = ["backup", "iso"]
  disable      = true

  backups {
    keep_all = true
  }
}

resource "proxmox_storage_lvm" "san" {
  id                     = "san"
  volume_group           = "vg-san"
  content                = ["images"]
  shared                 = true
  wipe_removed_volumes   = var.later
  disable                = true
}

resource "proxmox_storage_lvmthin" "thin" {
  id           = "thin"
  volume_group = "pve"
  thin_pool    = "data"
  content      = ["images", "rootdir"]
  nodes        = [local.node]
  disable      = true
}

resource "proxmox_storage_zfspool" "tank" {
  id             = "tank"
  zfs_pool       = "tank/guests"
  blocksize      = "16k"
  thin_provision = true
  content        = ["images", "rootdir"]
  disable        = true
}

resource "proxmox_cluster_options" "options" {
  language                  = "en"
  keyboard                  = var.later ? "de" : "en-us"
  email_from                = "ostler@example.com"
  console                   = "html5"
  bandwidth_limit_migration = 555555
  bandwidth_limit_default   = var.later ? 777777 : 666666
  max_workers               = 5
  mac_prefix                = "BC:24:11"
  migration_cidr            = "10.0.0.0/8"
  migration_type            = "secure"
  next_id = {
    lower = 200
    upper = 999999
  }
}

resource "proxmox_node_config" "node" {
  node_name   = local.node
  description = var.later ? "a node\nof two lines" : "a node"
}

resource "proxmox_hardware_mapping_pci" "card" {
  name    = "card"
  comment = var.later ? "another card" : "a card"
  map = [
    {
      id           = "8086:5916"
      node         = local.node
      path         = "0000:00:02.0"
      iommu_group  = 0
      subsystem_id = "8086:2068"
      comment      = "in the first slot"
    },
  ]
  mediated_devices = true
}

resource "proxmox_hardware_mapping_usb" "stick" {
  name    = "stick"
  comment = "a stick"
  map = [
    {
      id      = "8087:0a2b"
      node    = local.node
      path    = "1-8.2"
      comment = "at the front"
    },
  ]
}

resource "proxmox_hardware_mapping_dir" "data" {
  name = "data"
  map = [
    {
      node = local.node
      path = "/srv"
    },
  ]
}

data "proxmox_version" "this" {}
data "proxmox_virtual_environment_nodes" "all" {}
data "proxmox_virtual_environment_node" "this" { node_name = local.node }
data "proxmox_virtual_environment_dns" "this" { node_name = local.node }
data "proxmox_virtual_environment_hosts" "this" { node_name = local.node }
data "proxmox_virtual_environment_time" "this" { node_name = local.node }
data "proxmox_virtual_environment_roles" "all" {}
data "proxmox_virtual_environment_groups" "all" { depends_on = [proxmox_virtual_environment_group.ops] }
data "proxmox_virtual_environment_users" "all" { depends_on = [proxmox_virtual_environment_user.ann] }
data "proxmox_virtual_environment_pools" "all" { depends_on = [proxmox_virtual_environment_pool.apps] }
data "proxmox_virtual_environment_user" "ann" { user_id = proxmox_virtual_environment_user.ann.user_id }
data "proxmox_virtual_environment_group" "ops" { group_id = proxmox_virtual_environment_group.ops.group_id }
data "proxmox_virtual_environment_role" "admin" { role_id = "Administrator" }
data "proxmox_datastores" "all" {
  node_name  = local.node
  depends_on = [proxmox_storage_directory.extra]
}
data "proxmox_files" "isos" {
  node_name    = local.node
  datastore_id = local.storage
}
data "proxmox_hardware_mappings" "pci" {
  check_node = local.node
  type       = "pci"
  depends_on = [proxmox_hardware_mapping_pci.card]
}
data "proxmox_hardware_mapping_usb" "stick" { name = proxmox_hardware_mapping_usb.stick.name }
data "proxmox_hardware_pci" "all" { node_name = local.node }
data "proxmox_haresources" "all" {}
data "proxmox_replications" "all" {}
data "proxmox_backup_jobs" "all" {}
data "proxmox_node_config" "this" {
  node_name  = local.node
  depends_on = [proxmox_node_config.node]
}

output "version" { value = data.proxmox_version.this.release }
output "users" { value = sort(data.proxmox_virtual_environment_users.all.user_ids) }
