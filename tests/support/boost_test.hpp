// Boost.Test as every test uses it: dynamically linked.
// Precompiled; the tests include the library themselves.
#pragma once

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
