"""Which of Chroma's own tests are not run against Vicinal, and why?

The patterns are of `fnmatch`, over "file::test"; a file's name alone means all of it.
"""

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "the server, its clients and its authentication": (
        "auth/*",
        "client/test_cloud_client.py",
        "client/test_create_http_client.py",
        "client/create_http_client_with_basic_auth.py",
        "client/test_database_tenant_auth.py",
        "property/test_base64_conversion.py",
        "property/test_client_url.py",
        "property/test_collections_with_database_tenant_overwrite.py",
        "test_api.py::test_ssl_*",
        "test_api.py::test_error_includes_trace_id*",
        "test_client.py::test_*http*",
    ),
    "Chroma's cloud and its distributed parts": (
        "distributed/*",
        "segment/*",
        "api/test_fork_count_api.py",
        "api/test_indexing_status.py",
        "api/test_search_api.py",
        "property/test_add_gc.py",
        "property/test_add_mcmr.py",
        "property/test_fork.py",
        "utils/test_wait_for_version_increase.py",
        "stress/*",
    ),
    "Chroma's own inner parts: its log, its tables, its caches, its private attributes, its command line": (
        "db/*",
        "test_config.py",
        "test_chroma.py",
        "test_cli.py",
        "test_client.py::test_*_client_close",
        "test_client.py::test_*_client_context_manager",
        "api/test_shared_system_client.py",
        "api/test_delete_database.py::test_collection_was_removed",
        "api/test_schema_e2e.py::test_collection_embed_uses_schema_or_collection_embedding_function",
        "client/test_multiple_clients_concurrency.py",
        "configurations/test_configurations.py",
        "configurations/test_collection_configuration.py::test_collection_load_with_invalid_configuration*",
        "configurations/test_collection_configuration.py::test_invalid_configuration_operations_*",
        "configurations/test_collection_configuration.py::test_get_collection_with_invalid_configuration*",
        "property/test_cross_version_persist.py",
        "property/test_persist.py",
        "property/test_restart_persist.py",
        "utils/test_embedding_function_schemas.py",
        "utils/cross_version.py",
    ),
    "functions whose models or answers come from the net; tests/engine has tests of ours": (
        "ef/*",
        "test_api.py::test_default_embedding",
    ),
    "a schema neither encrypts nor lists the keys that occur, and SPANN's settings have no effect": (
        "api/test_schema.py::TestNewSchema::test_cmek_*",
        "api/test_schema.py::test_config_classes_reject_invalid_fields",
        "api/test_schema_e2e.py::test_schema_discovers_new_keys_after_compaction",
        "api/test_schema_e2e.py::test_schema_rejects_conflicting_discoverable_key_types",
        "api/test_schema_e2e.py::test_schema_precedence_for_overrides_discoverables_and_defaults",
        "configurations/test_collection_configuration.py::test_*spann*",
    ),
    "it asserts that something is refused which Vicinal does (docs/chroma-compatibility.md, Added)": (
        "api/test_schema_e2e.py::test_sparse_vector_not_allowed_locally",
        "property/test_add.py::test_add_large_exceeding*",
        "test_api.py::test_delete_with_limit_requires_where*",
        "test_api.py::test_metadata_validation_*",
        "test_api.py::test_where_valid_operators*",
        "test_api.py::test_query_id_filtering_e2e*",
    ),
    "it asserts the wording of an error": (
        "test_api.py::test_invalid_id*",
        "test_api.py::test_invalid_n_results_param*",
    ),
    "it asserts that SparseVector is Chroma's own class": (
        "test_api.py::test_sparse_vector_in_metadata_validation",
        "test_api.py::test_sparse_vector_dict_format_*",
    ),
    "two classes of one name are registered, which Vicinal refuses": (
        "test_api.py::test_persist_index_get_or_create_embedding_function*",
    ),
}
