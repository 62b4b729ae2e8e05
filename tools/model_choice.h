// From `-m FILE`, `--ctx` and `--device` to a loaded session, with the memory plan and the progress bar on the way.
#pragma once

#include <memory>
#include <string>

#include "engine/model/model.h"
#include "engine/session.h"
#include "tools/commands.h"
#include "tools/device_choice.h"

namespace amlm::tools {

struct ModelOptions {
  std::string file;              // empty: the demo model
  std::string device;
  u32 context = 0;
  u32 batch = 512;
  bool all_logits = false;
  bool quiet = false;            // no plan, no progress
};

struct LoadedModel {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
  std::string file;              // of the model: the demo model's when none was named
};

void add_model_options(CLI::App& command, ModelOptions& options);
Result<LoadedModel> load_model(const ModelOptions& options, const Invocation& invocation);

// "the virtual gfx1151 (counted and modelled, not measured)" or "Radeon 8060S (/dev/dri/renderD128)".
std::string describe_device(const DeviceFacts& facts);

}  // namespace amlm::tools
