#include "cli/cli.h"

int main(int argc, char** argv) { return ottla::cli::run(argc, argv); }
