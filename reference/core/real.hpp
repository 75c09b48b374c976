// SPDX-License-Identifier: MIT
/// \file
/// The one floating-point type of the reference: float in the product, double where gradients are checked.
#pragma once
#include <cstddef>

namespace dsv3 {

#ifdef DSV3_REAL_IS_DOUBLE
using real = double;
namespace f64 {
extern const char library;  ///< defined by the double build of the library only
}
namespace {
[[gnu::used]] const char* const linked_library = &f64::library;
}
#else
using real = float;
namespace f32 {
extern const char library;  ///< defined by the float build of the library only
}
namespace {
/// A file compiled for one `real` and linked with the library of the other fails here, at link time.
[[gnu::used]] const char* const linked_library = &f32::library;
}  // namespace
#endif

using Index = std::ptrdiff_t;  ///< rows, columns, tokens, experts: signed, so that differences are safe

}  // namespace dsv3
