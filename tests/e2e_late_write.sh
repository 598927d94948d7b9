#!/bin/sh
# What a broker says while it refuses a TLS connection is told to the user even when our own next packet came too late:
# the tests of TLS, with every write to a socket delayed.
set -eu
build=${WEIR_BUILD:-build}
export WEIR_TEST_LATE=test_mqtt_connection CK_RUN_CASE=tls ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
LD_PRELOAD=$build/tests/modules/late_write.so exec "$build/tests/test_mqtt_connection"
