//! What a slave renders with: what its owner wants, held against what its Blender finds.

use super::SlaveError;
use netrender_core::slave::Device;

/// What an owner may want beside `auto` and `cpu`, in Blender's words; the fastest first where one device is two kinds.
const GPUS: [&str; 5] = ["OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"];

/// The kind of device to render with. `wanted`: `auto` for a GPU if there is one, else a kind in any case.
pub(super) fn choose(wanted: &str, found: &[Device]) -> Result<String, SlaveError> {
    let has = |kind: &str| found.iter().any(|device| device.kind == kind);
    let wanted = wanted.to_uppercase();
    match wanted.as_str() {
        "AUTO" => Ok(GPUS.into_iter().find(|kind| has(kind)).unwrap_or("CPU").to_owned()),
        "CPU" => Ok(wanted),
        kind if GPUS.contains(&kind) && has(kind) => Ok(wanted),
        _ => {
            let mut there: Vec<String> =
                found.iter().map(|device| format!("{} ({})", device.kind.to_lowercase(), device.name)).collect();
            there.dedup();
            Err(SlaveError::NoDevice { wanted: wanted.to_lowercase(), there: there.join(", ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(kind: &str) -> Device {
        Device { kind: kind.into(), name: "GeForce".into() }
    }

    #[test]
    fn a_gpu_is_chosen_if_there_is_one() {
        let (cpu, both) = ([device("CPU")], [device("CPU"), device("CUDA"), device("OPTIX")]);
        assert_eq!(choose("auto", &cpu).unwrap(), "CPU");
        assert_eq!(choose("auto", &both).unwrap(), "OPTIX");
        assert_eq!(choose("cuda", &both).unwrap(), "CUDA");
        assert_eq!(choose("cpu", &both).unwrap(), "CPU");
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let why = choose("hip", &[device("CPU"), device("CUDA")]).unwrap_err().to_string();
        assert!(why.contains("no hip device") && why.contains("cuda (GeForce)"), "{why}");
    }
}
