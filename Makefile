# Every target sets itself up first; the second time that takes a second.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
QLORA := .venv/qlora
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Only `make run` may fetch a model, the BASE_MODEL that .env names; and nobody is told how the software is used.
demo test bench soak picture sandbox: export HF_HUB_OFFLINE := 1
export VLLM_NO_USAGE_STATS := 1
export DO_NOT_TRACK := 1

.PHONY: setup demo test lint bench soak picture screenshots run sandbox clean
setup: $(READY)

# torchvision, torchaudio and torchcodec are left out of the lock on purpose: vLLM names them, text serving needs none of
# them, and builds that do not match the CPU torch make `import transformers` fail.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Nightshift needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv …"; $(PYTHON) -m venv .venv; }
	@echo "Installing torch (CPU build) …"
	@$(PIP) 'torch==2.13.0+cpu' 2>/dev/null || $(PIP) 'torch==2.13.0+cpu' --extra-index-url https://download.pytorch.org/whl/cpu
	@echo "Installing the pinned packages (a few minutes the first time) …"
	@$(PIP) --no-deps -r requirements.lock
	@$(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null || true
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import transformers, vllm' 2>/dev/null || { echo "The installed packages do not import; remove .venv and run make setup again."; exit 1; }
	@touch $(READY)

demo: $(READY)
	@$(BIN)/python -m bot.demo

# Two at a time, file by file: half the time of one, on two cores. Then QLoRA, whose library lies beside the set-up, since
# whatever imports PEFT would import it too.
test: $(READY) $(QLORA)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
	@OMP_NUM_THREADS=1 PYTHONPATH=$(QLORA) $(BIN)/python -m pytest tests/test_four_bits.py

$(QLORA): | $(READY)
	@$(PIP) --no-deps --target $(QLORA) bitsandbytes==0.50.2

bench: $(READY)
	@$(BIN)/python tests/bench_starter.py
	@$(BIN)/python tests/bench_training.py
	@$(BIN)/python tests/bench_ladder.py
	@$(BIN)/python tests/bench_backtest.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/simulate_gate.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/simulate_texts.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/bench_poisons.py
	@$(BIN)/python tests/bench_search.py

# The kill tests five times over: what fails once in a while fails here. Then two processes on one training, the
# starter's own, a shift of 50 agents, and the attacks.
soak: $(READY)
	@for n in 1 2 3 4 5; do OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_desk_crash.py tests/test_nightly.py tests/test_store.py tests/test_up.py || exit 1; done
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/soak_parallel.py tests/soak_pretrain.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/soak_shift.py
	@OMP_NUM_THREADS=1 $(BIN)/python tests/injection.py

# The README's picture, taken at the end of a demo.
picture: $(READY)
	@mkdir -p docs
	@DEMO_EXIT=1 $(BIN)/python -m bot.demo --picture docs/sandbox.png

# The README's other pictures, of invented drafts: the tests' model server writes them.
screenshots: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/screenshots.py

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

# .env first: nobody should wait for a set-up in order to be told that it is missing.
run: .env $(READY)
	@$(BIN)/honcho start

.env:
	@echo "No .env here: copy .env.example to .env and fill in the Slack tokens (README, \"Connect a workspace\")."; exit 1

sandbox: $(READY)
	@$(BIN)/python -m bot sandbox

clean:
	rm -rf .venv var
