//! `GET /nodes/{node}/hardware/usb`

use model::Error;
use node::host::usb::{self, Device};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn usb_list(op: Op) -> Result<Answer, Error> {
    let devices = usb::devices(&op.context.node.host).await;
    Ok(Answer::new(devices.iter().map(row).collect::<Vec<_>>()))
}

fn row(device: &Device) -> Value {
    let mut row = json!({
        "busnum": device.bus,
        "devnum": device.number,
        "level": device.level(),
        "port": device.port(),
        "class": device.class,
        "vendid": device.vendor,
        "prodid": device.product,
        "speed": device.speed,
    });
    let texts = [
        ("usbpath", &device.path),
        ("manufacturer", &device.manufacturer_name),
        ("product", &device.product_name),
        ("serial", &device.serial),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            row[key] = text.as_str().into();
        }
    }
    row
}
