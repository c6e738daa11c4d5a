//! Choice of the device to render with: the owner's wish, checked against the devices that Blender
//! finds.

use super::error::SlaveError;
use netrender_core::model::build::{Device, DeviceChoice, DeviceKind};

/// Kinds of GPU. Where one device has two kinds, the faster comes first.
const GPUS: [DeviceKind; 5] =
    [DeviceKind::Optix, DeviceKind::Cuda, DeviceKind::Hip, DeviceKind::Metal, DeviceKind::Oneapi];

/// Returns the kind of device to render with.
pub fn choose(wanted: &DeviceChoice, found: &[Device]) -> Result<DeviceKind, SlaveError> {
    let has = |kind: &DeviceKind| found.iter().any(|device| device.kind == *kind);
    match wanted {
        DeviceChoice::Auto => Ok(GPUS.into_iter().find(has).unwrap_or_default()),
        DeviceChoice::Kind(kind) if *kind == DeviceKind::Cpu || has(kind) => Ok(kind.clone()),
        DeviceChoice::Kind(kind) => {
            let in_words = |device: &Device| format!("{} ({})", device.kind.to_string().to_lowercase(), device.name);
            let mut there: Vec<String> = found.iter().map(in_words).collect();
            there.dedup();
            Err(SlaveError::NoDevice { wanted: kind.to_string().to_lowercase(), there: there.join(", ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(kind: DeviceKind) -> Device {
        Device { kind, name: "GeForce".into() }
    }

    fn choose(wanted: &str, found: &[Device]) -> Result<DeviceKind, SlaveError> {
        super::choose(&wanted.parse().unwrap(), found)
    }

    #[test]
    fn a_gpu_is_chosen_if_there_is_one() {
        let cpu = [device(DeviceKind::Cpu)];
        let both = [device(DeviceKind::Cpu), device(DeviceKind::Cuda), device(DeviceKind::Optix)];
        assert_eq!(choose("auto", &cpu).unwrap(), DeviceKind::Cpu);
        assert_eq!(choose("auto", &both).unwrap(), DeviceKind::Optix);
        assert_eq!(choose("CUDA", &both).unwrap(), DeviceKind::Cuda);
        assert_eq!(choose("cpu", &both).unwrap(), DeviceKind::Cpu);
    }

    #[test]
    fn an_absent_kind_is_refused_by_name() {
        let found = [device(DeviceKind::Cpu), device(DeviceKind::Cuda)];
        let why = choose("hip", &found).unwrap_err().to_string();
        assert!(why.contains("no hip device") && why.contains("cuda (GeForce)"), "{why}");
    }
}
