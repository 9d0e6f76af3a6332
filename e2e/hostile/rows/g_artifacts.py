"""G. Packages and layers."""

from hostile.catalogue import absent, elsewhere

PACKAGES = "test_packages.py::"
elsewhere("G01", "names that leave the package", PACKAGES + "test_paths_that_leave_the_package", PACKAGES + "test_a_name_with_a_nul", PACKAGES + "test_names_that_are_too_much")
elsewhere("G02", "a link, and an entry through it", PACKAGES + "test_a_link_and_a_file_through_it")
elsewhere("G03", "a link alone that leads outside", PACKAGES + "test_links_that_lead_outside_are_kept_and_lead_nowhere_outside")
elsewhere("G04", "a layer's link under another layer's files", "test_layers.py::test_a_later_layer_covers_an_earlier_one", "test_layers.py::test_nothing_in_a_layer_can_be_changed")
elsewhere("G05", "bombs", PACKAGES + "test_a_bomb", PACKAGES + "test_overlapping_entries")
elsewhere("G06", "headers that lie", PACKAGES + "test_headers_that_disagree", PACKAGES + "test_a_size_that_lies", PACKAGES + "test_duplicates", PACKAGES + "test_encrypted_entries", PACKAGES + "test_unknown_compression", PACKAGES + "test_a_prefix_before_the_archive_is_refused_or_ignored")
elsewhere("G07", "too many entries, too long, too deep", PACKAGES + "test_too_many_entries", PACKAGES + "test_names_that_are_too_much", PACKAGES + "test_more_than_fifty_megabytes")
elsewhere("G08", "entries that are no files, set-id bits", PACKAGES + "test_entries_that_are_no_files", "test_sandbox.py::test_code_is_the_packages_and_only_that")
READER = "crates/sandbox/tests/sandbox/reader.rs::"
elsewhere("G05-jail", "take over what reads archives: reach anything, call anything, use everything up", READER + "it_reaches_nothing_else", READER + "other_calls_end_it", READER + "what_it_uses_up_is_bounded")
absent({"G09": "archives of images", "G10": "digests of images that lie", "G11": "compression of images", "G12": "manifests of images"}, "functions from images are not offered")
elsewhere("G13", "poison what is shared by content", "test_layers.py::test_two_functions_share_packages_that_neither_has")
elsewhere("G14", "code from another's bucket", "test_policies.py::test_code_is_taken_from_buckets_that_the_caller_may_read")
