"""Code signing configurations."""


def test_code_signing_not_found_excs(s):
    name, unknown = s.name(), "csc-test-doesnotexist"
    s.function(FunctionName=name)
    invalid = f"arn:aws:lambda:{s.region}:{s.account}:code-signing-config:csc-00000000000000000"
    s.given_as(csc_arn_invalid=invalid)
    profile = f"arn:aws:signer:{s.region}:{s.account}:/signing-profiles/test"
    made = s.step(
        "create_code_signing_config",
        "create_code_signing_config",
        Description="Testing CodeSigning Config",
        AllowedPublishers={"SigningProfileVersionArns": [profile]},
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
    )
    arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    s.step("delete_csc_notfound", "delete_code_signing_config", CodeSigningConfigArn=invalid)
    delete, put = "delete_function_code_signing_config", "put_function_code_signing_config"
    s.step("nothing_to_delete_response", delete, FunctionName=name)
    s.step("delete_function_csc_fnnotfound", delete, FunctionName=unknown)
    s.step("put_function_csc_invalid_fnname", put, FunctionName=unknown, CodeSigningConfigArn=arn)
    s.step("put_function_csc_invalid_csc_arn", put, FunctionName=name, CodeSigningConfigArn=invalid)
    s.step("put_function_csc_invalid_both", put, FunctionName=unknown, CodeSigningConfigArn=invalid)
    update = "update_code_signing_config"
    s.step("update_csc_invalid_csc_arn", update, CodeSigningConfigArn=invalid, Description="new-description")
    s.step("update_csc_noupdates", update, CodeSigningConfigArn=invalid)
    s.step("update_csc_noupdate_response", update, CodeSigningConfigArn=arn)
    s.step("get_csc_invalid", "get_code_signing_config", CodeSigningConfigArn=invalid)
    s.step("get_function_csc_fnwithoutcsc", "get_function_code_signing_config", FunctionName=name)
    s.step("get_function_csc_nonexistingfn", "get_function_code_signing_config", FunctionName=unknown)
    list_ = "list_functions_by_code_signing_config"
    s.step("list_functions_by_csc_fnwithoutcsc", list_, CodeSigningConfigArn=arn)
    s.step("list_functions_by_csc_invalid_cscarn", list_, CodeSigningConfigArn=invalid)
