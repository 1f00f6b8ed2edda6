//! Names of a policy's files, relative to the folder of the main one.

/// Why a name cannot be a file of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// The name starts with `/`.
    Absolute,
    /// Nothing is left of the name.
    Empty,
    /// `..` leads out of the main policy's folder.
    Parent,
}

/// Returns the folder of `file` with its `/`, or nothing.
pub(super) fn folder(file: &str) -> &str {
    file.rfind('/')
        .and_then(|slash| file.get(..=slash))
        .unwrap_or("")
}

/// Joins `name`, as written in a file of `folder`, to that folder and takes out `.` and `..`.
/// Both are relative to the main policy's folder, which the result does not leave.
pub(super) fn join(folder: &str, name: &str) -> Result<String, Escape> {
    if name.starts_with('/') {
        return Err(Escape::Absolute);
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let before = parts.len();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(Escape::Parent)?;
            }
            other => parts.push(other),
        }
    }
    if parts.is_empty() || (name.is_empty() && parts.len() == before) {
        return Err(Escape::Empty);
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_including_file() {
        assert_eq!(join("lists/", "a.txt"), Ok("lists/a.txt".to_owned()));
        assert_eq!(join("lists/", "../b.tide"), Ok("b.tide".to_owned()));
        assert_eq!(join("", "./x//y.tide"), Ok("x/y.tide".to_owned()));
    }

    #[test]
    fn names_outside_the_folder_are_escapes() {
        assert_eq!(join("", "/etc/passwd"), Err(Escape::Absolute));
        assert_eq!(join("a/", "../../b"), Err(Escape::Parent));
        assert_eq!(join("a/", "../../a/b"), Err(Escape::Parent));
        assert_eq!(join("", "."), Err(Escape::Empty));
        assert_eq!(join("a/", ""), Err(Escape::Empty));
    }
}
