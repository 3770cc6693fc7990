// SPDX-License-Identifier: Apache-2.0
// `lockstep checkpoint inspect | verify | convert | diff`. A PATH is a checkpoint, or a run or a
// folder of checkpoints: then its last one is meant. diff ends with 1 if there is a difference.
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "launch/build_facts.hpp"
#include "launch/checkpoint_report.hpp"
#include "launch/command.hpp"
#include "launch/job.hpp"
#include "models/hugging_face_files.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/whole.hpp"

namespace lockstep {

namespace {

constexpr int kDifferent = 1;

struct CheckpointOptions {
  std::string path, other, form;
  bool json = false, tensors = false;
  std::function<int(const CheckpointOptions&)> action;
};

void say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

int inspect_one(const CheckpointOptions& options) {
  const std::string checkpoint = find_checkpoint(options.path);
  const Manifest manifest = read_manifest(checkpoint);
  const Detail detail = options.tensors ? Detail::tensors : Detail::summary;
  say(options.json ? inspect_json(checkpoint, manifest)
                   : inspect_text(checkpoint, manifest, detail));
  return 0;
}

// All of them, so that one that is damaged does not hide another.
int verify_all(const CheckpointOptions& options) {
  int status = 0;
  for (const std::string& checkpoint : find_checkpoints(options.path)) {
    try {
      say(verify(checkpoint));
    } catch (const ConfigError&) {
      status = report(std::current_exception());
    }
  }
  return status;
}

int convert_one(const CheckpointOptions& options) {
  const std::string &from = options.path, &to = options.other;
  const bool theirs = is_hugging_face(from);
  if (theirs && options.form != "lockstep") {
    throw ConfigError(from + " is a Hugging Face model: convert it --to lockstep");
  }
  if (theirs) {
    import_hugging_face(from, to, "lockstep " + build_facts().version);
    say(to + ": weights; a run starts from them with checkpoint.load = \"" + to + "\"\n");
  } else if (options.form == "lockstep") {
    make_whole(find_checkpoint(from), to);
    say(to + ": the same in one file\n");
  } else {
    export_hugging_face(find_checkpoint(from), to);
    say(to + ": config.json and model.safetensors\n");
  }
  return 0;
}

int compare(const CheckpointOptions& options) {
  const CheckpointDifference d =
      diff(find_checkpoint(options.path), find_checkpoint(options.other));
  say(d.text);
  return d.same ? 0 : kDifferent;
}

}  // namespace

CommandAction prepare_checkpoint(CLI::App& app) {
  auto options = std::make_shared<CheckpointOptions>();
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* summary, auto action) {
    CLI::App* sub = app.add_subcommand(name, summary);
    sub->add_option("path", options->path, "Checkpoint, run or folder of checkpoints")->required();
    sub->final_callback([options, action] { options->action = action; });
    return sub;
  };
  CLI::App* inspect = add("inspect", "What a checkpoint holds", inspect_one);
  inspect->add_flag("--json", options->json, "As JSON, with the shapes of all parameters");
  inspect->add_flag("--tensors", options->tensors, "Parameters and the job, too");
  add("verify", "Reads every byte and compares the checksums", verify_all);
  CLI::App* convert = add("convert", "Writes it in another form", convert_one);
  convert->add_option("output", options->other, "Directory to make")->required();
  convert
      ->add_option("--to", options->form,
                   "hugging-face: config.json and model.safetensors; lockstep: one file, or "
                   "the import of such a directory")
      ->required()
      ->check(CLI::IsMember({"hugging-face", "lockstep"}));
  CLI::App* diff = add("diff", "Where two checkpoints differ", compare);
  diff->add_option("other", options->other, "The other one")->required();
  return [options] { return options->action(*options); };
}

}  // namespace lockstep
