// SPDX-License-Identifier: MIT
/// \file
/// The devices that --device names.
#pragma once

namespace dsv3::cli {

/// Offers "cuda", whether it can be had or not: asking for it then says why not.
void offer_devices();

}  // namespace dsv3::cli
