//! Files come, change, break and go.

use super::*;

fn workload(name: &str, port: u16) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  address: 127.0.0.1\n  ports: [{{name: http, port: {port}}}]\n"
    )
}

fn scan_of(files: &[(&str, &str)]) -> Scan {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), Ok(text.as_bytes().to_vec()))).collect();
    Scan { files, ..Scan::default() }
}

fn names(loaded: &Loaded) -> Vec<(String, u16)> {
    let of = |workload: &Workload| (workload.name.name.clone(), workload.ports[0].port.get());
    loaded.workloads.iter().map(of).collect()
}

#[test]
fn a_broken_file_keeps_its_workloads_and_says_so() {
    let good =
        fold(scan_of(&[("a.yaml", &workload("a", 1)), ("b.yaml", &workload("b", 2))]), &BTreeMap::new());
    assert_eq!(good.problems, Vec::<String>::new());
    let broken = fold(scan_of(&[("a.yaml", "kind: [Workload"), ("b.yaml", &workload("b", 3))]), &good.files);

    assert_eq!(names(&broken), [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    assert!(broken.problems[0].starts_with("a.yaml:"), "{:?}", broken.problems);
    assert_eq!(broken.files["a.yaml"], workload("a", 1).as_bytes());
}

#[test]
fn a_removed_file_takes_its_workloads_away() {
    let good =
        fold(scan_of(&[("a.yaml", &workload("a", 1)), ("b.yaml", &workload("b", 2))]), &BTreeMap::new());
    let fewer = fold(scan_of(&[("b.yaml", &workload("b", 2))]), &good.files);
    assert_eq!(names(&fewer), [("b".to_owned(), 2)]);
    assert!(!fewer.files.contains_key("a.yaml"));
}

/// Somebody who writes a file empties it first.
#[test]
fn a_file_that_is_empty_now_keeps_its_workloads_and_says_so() {
    let good = fold(scan_of(&[("a.yaml", &workload("a", 1)), ("b.yaml", "# nothing\n")]), &BTreeMap::new());
    for text in ["", "\n", "# soon\n---\n"] {
        let emptied = fold(scan_of(&[("a.yaml", text), ("b.yaml", text)]), &good.files);
        assert_eq!(names(&emptied), [("a".to_owned(), 1)], "{text:?}");
        assert_eq!(emptied.problems.len(), 1, "{:?}", emptied.problems);
        assert!(emptied.problems[0].starts_with("a.yaml: is empty"), "{:?}", emptied.problems);
        assert_eq!(emptied.files["a.yaml"], workload("a", 1).as_bytes());
    }
}

/// Invariant 6: silence removes nothing.
#[test]
fn a_folder_that_cannot_be_read_takes_nothing_away() {
    let good = fold(scan_of(&[("a.yaml", &workload("a", 1))]), &BTreeMap::new());
    let gone = fold(scan(std::path::Path::new("/no/such/folder")), &good.files);
    assert_eq!(names(&gone), [("a".to_owned(), 1)]);
    assert!(gone.problems[0].starts_with("workload folder: "), "{:?}", gone.problems);
}

#[test]
fn of_two_workloads_of_one_name_the_first_file_counts() {
    let loaded =
        fold(scan_of(&[("a.yaml", &workload("a", 1)), ("b.yaml", &workload("a", 2))]), &BTreeMap::new());
    assert_eq!(names(&loaded), [("a".to_owned(), 1)]);
    assert!(loaded.problems[0].contains("is in a.yaml already"), "{:?}", loaded.problems);
}

#[test]
fn two_workloads_at_one_address_and_port_are_named_with_both_files() {
    let files = [("a.yaml", workload("a", 80)), ("b.yaml", workload("b", 80)), ("c.yaml", workload("c", 81))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let loaded = fold(scan_of(&files), &BTreeMap::new());
    assert_eq!(loaded.workloads.len(), 3, "both are kept: which one is wrong cannot be told");
    assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
    let problem = &loaded.problems[0];
    let expected = "b.yaml: workload shop/b takes 127.0.0.1:80, which workload shop/a in a.yaml takes too";
    assert!(problem.starts_with(expected), "{problem}");

    // Proxies of one host that take the default inbound port.
    let proxied = |name, port| workload(name, port) + "  proxy: {}\n";
    let files = [("a.yaml", proxied("a", 80)), ("b.yaml", proxied("b", 81))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let loaded = fold(scan_of(&files), &BTreeMap::new());
    assert!(loaded.problems[0].contains("takes 127.0.0.1:15006, which"), "{:?}", loaded.problems);
}

#[test]
fn only_workload_files_are_read_and_long_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.yaml", "a.yml", "c.json", ".hidden.yaml", "notes.txt"] {
        fs_err::write(folder.path().join(name), "x").unwrap();
    }
    fs_err::write(folder.path().join("long.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    fs_err::create_dir(folder.path().join("folder.yaml")).unwrap();
    let found = scan(folder.path());
    assert_eq!(
        found.files.keys().collect::<Vec<_>>(),
        ["a.yml", "b.yaml", "c.json", "folder.yaml", "long.yaml"]
    );
    assert!(found.files["long.yaml"].as_ref().unwrap_err().contains("is longer than 1048576 bytes"));
    assert!(found.files["folder.yaml"].as_ref().unwrap_err().contains("is not a file"));
}
